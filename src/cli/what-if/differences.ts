import type { Drilled, Status } from '../../contracts/index.ts';
import { spanOf } from '../../runbook/review-causes.ts';

/** Two runs that differ by less end at the same time. */
const SAME_MS = 5000;

const linesOf = ({ timeline }: Status, ...kinds: string[]): string[] =>
  timeline
    .filter(({ kind }) => kinds.includes(kind))
    .map(({ what, who }) => (who === undefined ? what : `${what} (${who})`));
const lastedMs = ({ timeline }: Status): number =>
  Date.parse(timeline.at(-1)?.at ?? '') - Date.parse(timeline[0]?.at ?? '');

/** Check → what it was judged, of the first diagnosis. */
const verdictsOf = (status: Status): Map<string, string> => {
  const verdicts = new Map<string, string>();
  for (const line of linesOf(status, 'checked')) {
    const [check = '', verdict = ''] = line.split(': ');
    if (!verdicts.has(check)) verdicts.set(check, verdict);
  }
  return verdicts;
};

/** What would have gone differently: the first run is under the configuration that counts, the second under another. */
export function differencesOf(now: Drilled, then: Drilled): string[] {
  const [a, b] = [now.status, then.status];
  const verdicts = verdictsOf(b);
  const judged = [...verdictsOf(a)].flatMap(([check, verdict]) => {
    const other = verdicts.get(check);
    return other === undefined || other === verdict ? [] : [`"${check}" is judged ${other} instead of ${verdict}`];
  });
  const instead = (what: string, ...kinds: string[]): string[] => {
    const [one, other] = [linesOf(a, ...kinds), linesOf(b, ...kinds)];
    const at = one.findIndex((line, i) => line !== other[i]);
    const first = at === -1 ? one.length : at;
    if (one.length === other.length && at === -1) return [];
    return [`${what}: ${other[first] ?? 'nothing'} instead of ${one[first] ?? 'nothing'}`];
  };
  const levels = ({ pages }: Drilled): string => [...new Set(pages.map(({ level }) => level))].join(', ') || 'nobody';
  const [before, after] = [lastedMs(a), lastedMs(b)];
  return [
    ...(a.outcome === b.outcome ? [] : [`it ends as ${b.outcome} (${b.note}) instead of ${a.outcome} (${a.note})`]),
    ...judged,
    ...instead('proposed', 'proposed'),
    ...instead('decided', 'approved', 'declined'),
    ...(levels(now) === levels(then) ? [] : [`paged: ${levels(then)} instead of ${levels(now)}`]),
    ...(Math.abs(before - after) < SAME_MS ? [] : [`it lasts ${spanOf(after)} instead of ${spanOf(before)}`]),
  ];
}
