/** Reads the document of a review back, and holds it, field by field, against the history of the run that it tells of. */
import type { Review, Status, TimelineEntry } from '../../src/contracts/index.ts';
import { bounded } from '../../src/runbook/review.ts';

/** Markdown's escapes taken away; white space as the document has it. */
const unescaped = (text: string): string =>
  text
    .replaceAll(/\\([^a-z\d\s])/gi, '$1')
    .replaceAll(/\s+/g, ' ')
    .trim();
const clock = (at: string): string => `${at.slice(0, 10)} ${at.slice(11, 19)}`;
const PEOPLE = ['acknowledged', 'approved', 'declined', 'note', 'paused', 'resumed', 'stopped', 'taken-over'];
const LISTS = {
  Diagnosed: ['checked'],
  Proposed: ['proposed', 'expired'],
  'Approved and declined': ['approved', 'declined', 'refused'],
  Done: ['acted', 'act-failed', 'verified', 'not-helped', 'step-done', 'step-failed', 'step-skipped'],
  Undone: ['undone', 'undo-failed', 'not-undone'],
};

function read(markdown: string) {
  const [, front = '', body = ''] = /^---\n([\s\S]*?)\n---\n([\s\S]*)$/.exec(markdown) ?? [];
  const [head = '', ...parts] = body.split(/\n## /);
  const sections = Object.fromEntries(
    parts.map((part) => {
      const [name = '', ...lines] = part.split('\n');
      return [name, lines.filter((line) => line !== '')];
    }),
  );
  const rows = (name: string): string[][] =>
    (sections[name] ?? [])
      .filter((line) => line.startsWith('|'))
      .slice(2)
      .map((line) =>
        line
          .slice(1, -1)
          .split(/(?<!\\)\|/)
          .map(unescaped),
      );
  const list = (name: string): string[] =>
    (sections[name] ?? []).filter((line) => line.startsWith('- ')).map((line) => unescaped(line.slice(2)));
  return {
    front: Object.fromEntries(
      front.split('\n').map((line) => {
        const at = line.indexOf(': ');
        return [line.slice(0, at), JSON.parse(line.slice(at + 2)) as unknown];
      }),
    ),
    head: unescaped(head),
    sections,
    rows,
    list,
  };
}

const said = ({ at, what, who }: TimelineEntry): string =>
  unescaped(`${clock(at).slice(11)} ${what}${who === undefined ? '' : `, by ${who}`}`);

/** `status` is the last that the history of the run has; of a very long line the document has the beginning. */
export function assertDocumented(markdown: string, status: Status, review: Review): void {
  const document = read(markdown);
  const {
    incident,
    timeline,
    alerts,
    outcome,
    note = '',
    attempts = [],
    workflowId,
    runId,
    runbook,
    title,
  } = bounded(status);
  const at = (holds: (line: TimelineEntry) => boolean): string | undefined => timeline.find(holds)?.at;
  const detected = timeline[0]?.at ?? '';

  expect(document.front).toEqual({
    review: `review.${workflowId}.${runId}`,
    service: incident.service,
    environment: incident.environment,
    runbook,
    severity: incident.severity,
    outcome,
    detected,
  });
  for (const told of [
    `${title}: ${incident.service} / ${incident.environment}, ${detected.slice(0, 10)}`,
    `${incident.summary}. Severity ${incident.severity}, opened by ${incident.openedBy}. It ended as **${outcome}**: ${note}.`,
    `Alerts: ${alerts.distinct} (${alerts.deliveries} deliveries).`,
    ...attempts.filter(({ result }) => result === 'helped').map(({ summary }) => `What helped: ${summary}, `),
  ])
    expect(document.head).toContain(unescaped(told));

  const verified = timeline.findLastIndex(({ kind }) => kind === 'verified');
  const times = Object.fromEntries(document.rows('Times').map(([name, when]) => [name, when]));
  const expected = {
    detected,
    'acknowledged by a person': at(({ kind, who = '' }) => PEOPLE.includes(kind) && !who.startsWith('policy:')),
    decided: at(({ kind }) => kind === 'approved' || kind === 'declined'),
    mitigated: timeline.slice(0, verified + 1).findLast(({ kind }) => kind === 'acted')?.at,
    closed: timeline.findLast(({ kind }) => kind === 'closed')?.at,
  };
  for (const [name, when] of Object.entries(expected))
    expect([name, times[name]]).toEqual([name, when === undefined ? '-' : clock(when)]);
  const began = times['began'] ?? '';
  expect(began <= clock(detected)).toBe(true);
  expect([alerts.since, review.impact.firstErrorAt, detected].map((one) => one && clock(one))).toContain(began);

  for (const [name, kinds] of Object.entries(LISTS))
    expect([name, ...document.list(name)]).toEqual([
      name,
      ...timeline.filter(({ kind }) => kinds.includes(kind)).map(said),
    ]);
  expect(document.rows('Timeline')).toEqual(
    timeline.map(({ at: when, who = '', what }) => [clock(when), unescaped(who), unescaped(what)]),
  );

  expect(document.sections['Bundle']).toEqual(
    status.bundle === undefined ? undefined : [`![bundle](charts/${runId}-bundle.svg)`],
  );

  const { users, requests, failed, budgetSpent } = review.impact;
  expect(document.list('Impact')).toEqual(
    expect.arrayContaining([
      `Users who met an error: ${users === undefined ? 'not measured' : `${users.sampled ? 'at least ' : ''}${users.count}`}`,
      `Requests that failed: ${failed === undefined ? 'not measured' : `${Math.round(failed)} of ${Math.round(requests ?? 0)}`}`,
      `Error budget of thirty days spent: ${budgetSpent === undefined ? 'not measured' : `${(budgetSpent * 100).toFixed(2)} %`}`,
    ]),
  );
  const causes = (document.sections['Cause'] ?? []).filter((line) => /^\d+\. /.test(line)).map(unescaped);
  expect(causes).toEqual(
    review.causes.map(({ what, state, id }, i) => unescaped(`${i + 1}. **${state}** ${what} (${id})`)),
  );
  expect(document.rows('Action items').map(([, what, , owner, due]) => [what, owner, due])).toEqual(
    review.actionItems.map((item) => [unescaped(item.title), item.owner, item.dueAt.slice(0, 10)]),
  );
}
