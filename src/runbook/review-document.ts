/** The document of a review, in Markdown: for people, and for the search in it. All text from outside is shown as text. */
import type { Review, ReviewTimes, Status, TimelineEntry } from '../contracts/index.ts';
import { plain } from './details.ts';
import { spanOf } from './review-causes.ts';
import { trialOf } from './review-items.ts';

/** As `plain`, and nothing that a Markdown reader makes a link, an entity, a formula, a picture or a list of. */
export const text = (from: string): string =>
  plain(from)
    .replaceAll(/[&$@]/g, String.raw`\$&`)
    .replaceAll(/:(?=\/\/|[\w+-]+:)/g, String.raw`\:`)
    .replaceAll(/\bwww\./gi, (www) => `${www.slice(0, 3)}\\.`)
    .replace(/^(\d+)([.)])(?=\s|$)/, String.raw`$1\$2`)
    .replace(/^[-+=]/, String.raw`\$&`);

const utc = (at: string): string => `${at.slice(0, 10)} ${at.slice(11, 19)}`;
const row = (...cells: string[]): string => `| ${cells.join(' | ')} |`;
const table = (head: string[], rows: string[][]): string[] => [
  row(...head),
  row(...head.map(() => '---')),
  ...rows.map((cells) => row(...cells)),
];
const list = (lines: string[], nothing: string): string[] =>
  lines.length === 0 ? [nothing] : lines.map((one) => `- ${one}`);
const section = (title: string, lines: string[]): string[] => ['', `## ${title}`, '', ...lines];

/** Lines of the timeline by what they tell. */
const TOLD = {
  Diagnosed: ['checked'],
  Proposed: ['proposed', 'expired'],
  'Approved and declined': ['break-glass', 'approved', 'declined', 'refused'],
  Done: ['acted', 'act-failed', 'verified', 'not-helped', 'step-done', 'step-failed', 'step-skipped'],
  Undone: ['undone', 'undo-failed', 'not-undone'],
};
const told = ({ at, what, who }: TimelineEntry): string =>
  `${utc(at).slice(11)} ${text(what)}${who === undefined ? '' : `, by ${text(who)}`}`;

/** Without a YAML quote, a line break or an escape of its own. */
const quoted = (value: string): string => JSON.stringify(value.replaceAll(/[\p{Cc}]/gu, ' '));

function timesTable({ beganAt, detectedAt, acknowledgedAt, decidedAt, mitigatedAt, endedAt }: ReviewTimes): string[] {
  const from = (start: string, at: string | undefined): string[] =>
    at === undefined ? ['-', '-'] : [utc(at), spanOf(Date.parse(at) - Date.parse(start))];
  return table(
    ['', 'at (UTC)', 'after'],
    [
      ['began', utc(beganAt), '-'],
      ['detected', ...from(beganAt, detectedAt)],
      ['acknowledged by a person', ...from(detectedAt, acknowledgedAt)],
      ['decided', ...from(detectedAt, decidedAt)],
      ['mitigated', ...from(detectedAt, mitigatedAt)],
      ['closed', ...from(beganAt, endedAt)],
    ],
  );
}

function impactLines({ impact, times }: Review): string[] {
  const { users, requests, failed, budgetSpent } = impact;
  const unknown = 'not measured';
  return [
    `- Duration: ${spanOf(Date.parse(times.endedAt) - Date.parse(times.beganAt))}`,
    `- Users who met an error: ${users === undefined ? unknown : `${users.sampled ? 'at least ' : ''}${users.count}`}`,
    `- Requests that failed: ${failed === undefined || requests === undefined ? unknown : `${Math.round(failed)} of ${Math.round(requests)}`}`,
    `- Error budget of thirty days spent: ${budgetSpent === undefined ? unknown : `${(budgetSpent * 100).toFixed(2)} %`}`,
    ...impact.unknown.map((why) => `- Not known: ${text(why)}`),
  ];
}

/** What one person has approved alone, in words that stand out. */
const aloneLines = ({ timeline }: Status): string[] =>
  timeline.filter(({ kind }) => kind === 'break-glass').flatMap(({ what }) => ['', `**${text(what)}.**`]);

function causeLines({ causes, decisions }: Review): string[] {
  const listed = causes.flatMap(({ what, state, evidence, id }, i) => [
    `${i + 1}. **${state}** ${text(what)} (${text(id)})`,
    ...evidence.map((one) => `   - ${text(one)}`),
  ]);
  const said = decisions.map(
    ({ at, by, cause, reason, before }) =>
      `- ${utc(at)} ${text(by)} said: ${text(cause)}${reason === undefined ? '' : `, because ${text(reason)}`}. Before that: ${before.map(text).join('; ') || 'nothing was suspected'}`,
  );
  return [...(listed.length === 0 ? ['Nothing is suspected.'] : listed), ...(said.length === 0 ? [] : ['', ...said])];
}

const trialLine = (setting: string): string => {
  const { change, command } = trialOf(setting);
  return `. To try it on past incidents: ${text(change)}, and run \`${command}\``;
};

export function documentOf(review: Review, status: Status): string {
  const { title, service, environment, times, outcome, note, severity, attempts, state, skipped } = review;
  const { timeline, alerts, incident, steps = [] } = status;
  const helped = attempts.find(({ result }) => result === 'helped');
  const lines = timeline.map(({ at, what, who = '' }) => [utc(at), text(who), text(what)]);
  const gap = ['', '', `*${status.leftOut ?? 0} lines are left out here; the history of the run in Temporal has them*`];
  const shown = status.leftOut === undefined ? lines : [...lines.slice(0, 100), gap, ...lines.slice(100)];
  const reviewed = skipped === undefined ? state : `skipped by ${text(skipped.by)}: ${text(skipped.reason)}`;
  return [
    '---',
    `review: ${quoted(review.id)}`,
    `service: ${quoted(service)}`,
    `environment: ${quoted(environment)}`,
    `runbook: ${quoted(review.runbook)}`,
    `severity: ${quoted(severity)}`,
    `outcome: ${quoted(outcome)}`,
    `detected: ${quoted(times.detectedAt)}`,
    '---',
    `# ${text(title)}: ${service} / ${environment}, ${times.detectedAt.slice(0, 10)}`,
    '',
    `${text(incident.summary)}. Severity ${severity}, opened by ${text(incident.openedBy)}. It ended as **${outcome}**: ${text(note)}.`,
    ...(helped === undefined
      ? []
      : [
          '',
          `What helped: ${text(helped.summary)}, ${spanOf(Date.parse(helped.endedAt) - Date.parse(helped.at))} from its begin until it held.`,
        ]),
    ...aloneLines(status),
    '',
    `Review: ${reviewed}. Alerts: ${alerts.distinct} (${alerts.deliveries} deliveries).`,
    ...section('Impact', impactLines(review)),
    ...section('Times', [...timesTable(times), '', `![course](charts/${review.runId}.svg)`]),
    ...section('Cause', causeLines(review)),
    ...(review.bundle === undefined ? [] : section('Bundle', [`![bundle](charts/${review.runId}-bundle.svg)`])),
    ...section('Contributing factors', list(review.factors.map(text), 'None is known.')),
    ...section('Detection gaps', list(review.gaps.map(text), 'None is known.')),
    ...section(
      'Action items',
      review.actionItems.length === 0
        ? ['None.']
        : table(
            ['', 'what', 'why', 'owner', 'due', 'issue'],
            review.actionItems.map((item) => [
              item.state === 'done' ? `done by ${text(item.closedBy ?? '')}` : `open: ${item.id}`,
              text(item.title),
              `${text(item.why)}${item.setting === undefined ? '' : trialLine(item.setting)}`,
              item.owner,
              item.dueAt.slice(0, 10),
              item.issue === undefined ? '' : text(item.issue),
            ]),
          ),
    ),
    ...(steps.length === 0
      ? []
      : section(
          'Steps',
          table(
            ['step', 'state', 'what came of it'],
            steps.map((step) => [text(step.name), step.state, text(step.detail ?? '')]),
          ),
        )),
    ...Object.entries(TOLD).flatMap(([name, kinds]) =>
      section(name, list(timeline.filter(({ kind }) => kinds.includes(kind)).map(told), 'Nothing.')),
    ),
    ...section('Timeline', table(['at (UTC)', 'who', 'what'], shown)),
    '',
  ].join('\n');
}

const MOST_TOLD = 1500;

/** What everybody is told, as plain text: whatever delivers it escapes it for its own. */
export function sharedText(review: Review): string {
  const { outcome, note, times, causes, attempts, document, actionItems } = review;
  const helped = attempts.find(({ result }) => result === 'helped');
  const open = actionItems.filter(({ state }) => state === 'open').length;
  return [
    `${outcome}: ${note}`,
    `${spanOf(Date.parse(times.endedAt) - Date.parse(times.beganAt))} from begin to end`,
    ...(helped === undefined ? [] : [`What helped: ${helped.summary}`]),
    ...causes.slice(0, 1).map(({ what, state }) => `Cause (${state}): ${what}`),
    `${open} action items`,
    ...(document === undefined ? [] : [`Document: ${document.path}`]),
    `More: review ${review.id}`,
  ]
    .join('\n')
    .slice(0, MOST_TOLD);
}

/** What the Temporal UI shows of a review, and what to send to it. */
export function reviewDetails(review: Review): string {
  const open = review.actionItems.filter(({ state }) => state === 'open');
  return [
    `### Review of ${text(review.title)}: ${review.service} / ${review.environment}`,
    '',
    `It ended as **${review.outcome}**: ${text(review.note)}`,
    '',
    '**Cause**',
    '',
    ...causeLines(review),
    '',
    `**Action items** (${open.length} open)`,
    '',
    ...open.map(({ id, title, owner, dueAt }) => `- ${id}: ${text(title)}; ${owner}, due ${dueAt.slice(0, 10)}`),
    '',
    '**To answer:** *Send an Update*: `confirmCause` with `{"by":"your-name","cause":"1"}`, `closeItem` with `{"by":"your-name","item":"<id>"}`.',
    'To leave the cause open: *Send a Signal*, `skipReview` with `{"by":"your-name","text":"why"}`.',
    ...(review.document === undefined ? [] : ['', `**Document:** ${text(review.document.path)}`]),
  ].join('\n');
}

export const commitMessage = ({ title, service, runId, decisions, state }: Review): string =>
  `docs: review ${title.toLowerCase()} on ${service}\n\nRun ${runId}, ${state}${decisions.length === 0 ? '' : `; cause confirmed by ${decisions.at(-1)?.by}`}.`;
