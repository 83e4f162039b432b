/** Reads the document of a review back, and holds it, field by field, against the history of the run that it tells of. */
import type { Review, Status, TimelineEntry } from '../../src/contracts/index.ts';
import { bounded } from '../../src/runbook/review.ts';
import { spanOf } from '../../src/runbook/review-causes.ts';

/** White space as the document has it. */
const flat = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();
/** Markdown's escapes taken away. */
const unescaped = (text: string): string => flat(text.replaceAll(/\\([^a-z\d\s])/gi, '$1'));
const clock = (at: string): string => `${at.slice(0, 10)} ${at.slice(11, 19)}`;
const PEOPLE = ['acknowledged', 'approved', 'declined', 'note', 'paused', 'resumed', 'stopped', 'taken-over'];
const LISTS = {
  Diagnosed: ['checked'],
  Proposed: ['proposed', 'expired'],
  'Approved and declined': ['break-glass', 'approved', 'declined', 'refused'],
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

const isByPerson = ({ kind, who = '' }: TimelineEntry): boolean =>
  PEOPLE.includes(kind) && !/^(policy|token):/.test(who);

/** When the first proposal was decided by the last person whom it took. */
function decidedAt(timeline: TimelineEntry[]): string | undefined {
  const [, first = []] = timeline.reduce<TimelineEntry[][]>(
    (parts, line) =>
      line.kind === 'proposed' ? [...parts, []] : [...parts.slice(0, -1), [...(parts.at(-1) ?? []), line]],
    [[]],
  );
  return first.findLast((line) => ['approved', 'declined'].includes(line.kind) && isByPerson(line))?.at;
}

const said = ({ at, what, who }: TimelineEntry): string =>
  flat(`${clock(at).slice(11)} ${what}${who === undefined ? '' : `, by ${who}`}`);

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
    steps = [],
    leftOut,
    workflowId,
    runId,
    runbook,
    title,
  } = bounded(status);
  const { service, environment, severity } = incident;
  const at = (holds: (line: TimelineEntry) => boolean): string | undefined => timeline.find(holds)?.at;
  const detected = timeline[0]?.at ?? '';

  expect(document.front).toEqual({
    review: `review.${workflowId}.${runId}`,
    service,
    environment,
    runbook,
    severity,
    outcome,
    detected,
  });
  const of = { workflowId, runId, runbook, title, service, environment, severity, outcome, note, attempts };
  expect(review).toMatchObject(of);
  for (const told of [
    `${title}: ${service} / ${environment}, ${detected.slice(0, 10)}`,
    `${incident.summary}. Severity ${severity}, opened by ${incident.openedBy}. It ended as **${outcome}**: ${note}.`,
    `Alerts: ${alerts.distinct} (${alerts.deliveries} deliveries).`,
    `Review: ${review.skipped === undefined ? review.state : `skipped by ${review.skipped.by}: ${review.skipped.reason}`}.`,
    ...attempts
      .filter(({ result }) => result === 'helped')
      .slice(0, 1)
      .map(
        (one) => `What helped: ${one.summary}, ${spanOf(Date.parse(one.endedAt) - Date.parse(one.at))} from its begin`,
      ),
    ...timeline.filter(({ kind }) => kind === 'break-glass').map(({ what }) => `**${what}.**`),
  ])
    expect(document.head).toContain(flat(told));

  const verified = timeline.findLastIndex(({ kind }) => kind === 'verified');
  const times = Object.fromEntries(document.rows('Times').map(([name, ...when]) => [name, when]));
  const acted = timeline.slice(0, verified + 1).findLast(({ kind }) => kind === 'acted')?.at;
  const closed = timeline.findLast(({ kind }) => kind === 'closed')?.at;
  const { beganAt } = review.times;
  const expected = {
    detected: [detected, beganAt],
    'acknowledged by a person': [at(isByPerson), detected],
    decided: [decidedAt(timeline), detected],
    mitigated: [acted ?? (status.steps && attempts.find(({ result }) => result === 'helped')?.at), detected],
    closed: [closed, beganAt],
  };
  const after = (when: string, since = ''): string => spanOf(Date.parse(when) - Date.parse(since));
  for (const [name, [when, since]] of Object.entries(expected))
    expect([name, times[name]]).toEqual([name, when === undefined ? ['-', '-'] : [clock(when), after(when, since)]]);
  expect(times['began']).toEqual([clock(beganAt), '-']);
  expect(beganAt <= detected).toBe(true);
  expect([alerts.since, review.impact.firstErrorAt, detected]).toContain(beganAt);

  for (const [name, kinds] of Object.entries(LISTS))
    expect([name, ...document.list(name)]).toEqual([
      name,
      ...timeline.filter(({ kind }) => kinds.includes(kind)).map(said),
    ]);
  const lines = timeline.map(({ at: when, who = '', what }) => [clock(when), flat(who), flat(what)]);
  const gap = ['', '', `*${leftOut} lines are left out here; the history of the run in Temporal has them*`];
  expect(document.rows('Timeline')).toEqual(
    leftOut === undefined ? lines : [...lines.slice(0, 100), gap, ...lines.slice(100)],
  );
  expect(document.rows('Steps')).toEqual(
    steps.map(({ name, state, detail = '' }) => [flat(name), state, flat(detail)]),
  );
  expect(document.list('Contributing factors')).toEqual(review.factors.map(flat));
  expect(document.list('Detection gaps')).toEqual(review.gaps.map(flat));

  expect(document.sections['Bundle']).toEqual(
    status.bundle === undefined ? undefined : [`![bundle](charts/${runId}-bundle.svg)`],
  );

  const { users, requests, failed, budgetSpent, unknown } = review.impact;
  expect(document.list('Impact')).toEqual([
    `Duration: ${after(closed ?? '', beganAt)}`,
    `Users who met an error: ${users === undefined ? 'not measured' : `${users.sampled ? 'at least ' : ''}${users.count}`}`,
    `Requests that failed: ${failed === undefined ? 'not measured' : `${Math.round(failed)} of ${Math.round(requests ?? 0)}`}`,
    `Error budget of thirty days spent: ${budgetSpent === undefined ? 'not measured' : `${(budgetSpent * 100).toFixed(2)} %`}`,
    ...unknown.map((why) => flat(`Not known: ${why}`)),
  ]);
  const causes = (document.sections['Cause'] ?? []).filter((line) => /^(\d+\.| {3}-) /.test(line)).map(unescaped);
  expect(causes).toEqual(
    review.causes.flatMap(({ what, state, id, evidence }, i) => [
      flat(`${i + 1}. **${state}** ${what} (${id})`),
      ...evidence.map((one) => flat(`- ${one}`)),
    ]),
  );
  const word = /^(\S+ \S+ .*?) said: (.*)\. Before that: (.*)$/;
  expect(document.list('Cause').map((line) => word.exec(line)?.slice(1))).toEqual(
    review.decisions.map(({ at: when, by, cause, reason, before }) => [
      `${clock(when)} ${by}`,
      flat(`${cause}${reason === undefined ? '' : `, because ${reason}`}`),
      flat(before.join('; ') || 'nothing was suspected'),
    ]),
  );
  const trial = (setting: string | undefined): string =>
    setting === undefined ? '' : `. To try it on past incidents: change ${setting} in other.config.ts`;
  const items = document.rows('Action items');
  expect(items.map(([state, what, , owner, due, issue]) => [state, what, owner, due, issue])).toEqual(
    review.actionItems.map((item) => [
      item.state === 'done' ? `done by ${item.closedBy}` : `open: ${item.id}`,
      flat(item.title),
      item.owner,
      item.dueAt.slice(0, 10),
      flat(item.issue ?? ''),
    ]),
  );
  for (const [i, { why, setting }] of review.actionItems.entries())
    expect(items[i]?.[2]?.startsWith(flat(`${why}${trial(setting)}`))).toBe(true);
}
