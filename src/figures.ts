import type { Learned, ReviewTimes } from './contracts/index.ts';
import { ALIKE, likeness } from './likeness.ts';

/** Means over incidents. Undefined where there is nothing to say: no data is never 0. */
export interface Figures {
  incidents: number;
  /** Those that resemble an earlier one of the same service and runbook. */
  repeats: number;
  /** From when it began until it was detected. */
  mttdMs: number | undefined;
  /** From detection until the first person was heard of. */
  mttaMs: number | undefined;
  /** From detection until what helped was done, or it resolved by itself; of those that recovered. */
  mttrMs: number | undefined;
  /** From the first proposal until the first decision. */
  approvalWaitMs: number | undefined;
  /** Share of the error budget of thirty days, summed. */
  budgetSpent: number | undefined;
  /** Steps that were done without a person, and what people did themselves, summed. */
  toil: { alone: number; byPeople: number } | undefined;
}

export interface FiguresReport {
  since: string;
  total: Figures;
  services: Record<string, Figures>;
  /** By `<service> <runbook>`. */
  runbooks: Record<string, Figures>;
  /** By `<year>-<month>`, of detection. */
  months: Record<string, Figures>;
  /** By service, runbook and month. */
  rows: (Figures & { service: string; runbook: string; month: string })[];
  /** What the error budget went to, the most first; causes that nobody has confirmed are `suspected`. */
  causes: { cause: string; state: string; incidents: number; budgetSpent: number }[];
}

const RECOVERED = ['mitigated', 'resolved'];
const UNKNOWN = 'no cause is known';

/** The incidents among these that were detected since; drills and deployments are not counted. What is older is what repeats are told by. */
export function figuresOf(learned: Learned[], since: string): FiguresReport {
  const all = learned
    .filter(({ workflowId, drill }) => workflowId.startsWith('incident.') && drill === undefined)
    .toSorted((a, b) => a.times.detectedAt.localeCompare(b.times.detectedAt));
  const repeats = new Set(all.filter((one, i) => all.slice(0, i).some((earlier) => isLike(one, earlier))));
  const counted = all.filter(({ times }) => times.detectedAt >= since);
  const over = (some: Learned[]): Figures => ({
    incidents: some.length,
    repeats: some.filter((one) => repeats.has(one)).length,
    ...meansOf(some),
  });
  const by = (keyOf: (one: Learned) => string): Record<string, Figures> =>
    Object.fromEntries([...Map.groupBy(counted, keyOf)].map(([key, some]) => [key, over(some)]));
  const rows = [...Map.groupBy(counted, (one) => `${one.service} ${one.runbook} ${monthOf(one)}`).values()];
  return {
    since,
    total: over(counted),
    services: by(({ service }) => service),
    runbooks: by(({ service, runbook }) => `${service} ${runbook}`),
    months: by(monthOf),
    rows: rows.flatMap((some) =>
      some.slice(0, 1).map((one) => ({
        service: one.service,
        runbook: one.runbook,
        month: monthOf(one),
        ...over(some),
      })),
    ),
    causes: causesOf(counted),
  };
}

const monthOf = ({ times }: Learned): string => times.detectedAt.slice(0, 7);
const isLike = (one: Learned, earlier: Learned): boolean =>
  earlier.service === one.service &&
  earlier.runbook === one.runbook &&
  likeness(earlier.fingerprint, one.fingerprint) >= ALIKE;

function meansOf(some: Learned[]) {
  const mean = (from: keyof ReviewTimes, to: (one: Learned) => string | undefined): number | undefined => {
    const spans = some.flatMap((one) => {
      const [start, end] = [one.times[from], to(one)];
      return start === undefined || end === undefined ? [] : [Date.parse(end) - Date.parse(start)];
    });
    const sane = spans.filter((ms) => ms >= 0); // a clock that is wrong says nothing
    return sane.length === 0 ? undefined : sum(sane) / sane.length;
  };
  const budgets = some.flatMap(({ budgetSpent }) => budgetSpent ?? []);
  const toils = some.flatMap(({ toil }) => toil ?? []);
  return {
    mttdMs: mean('beganAt', ({ times }) => times.detectedAt),
    mttaMs: mean('detectedAt', ({ times }) => times.acknowledgedAt),
    mttrMs: mean('detectedAt', ({ times, outcome }) =>
      RECOVERED.includes(outcome) ? (times.mitigatedAt ?? times.endedAt) : undefined,
    ),
    approvalWaitMs: mean('proposedAt', ({ times }) => times.decidedAt),
    budgetSpent: budgets.length === 0 ? undefined : sum(budgets),
    toil:
      toils.length === 0
        ? undefined
        : { alone: sum(toils.map(({ alone }) => alone)), byPeople: sum(toils.map(({ byPeople }) => byPeople)) },
  };
}

const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);

function causesOf(some: Learned[]): FiguresReport['causes'] {
  const groups = Map.groupBy(some, ({ causes: [first] }) => `${first?.state ?? 'unknown'} ${first?.what ?? UNKNOWN}`);
  return [...groups.values()]
    .map((of) => ({
      cause: of[0]?.causes[0]?.what ?? UNKNOWN,
      state: of[0]?.causes[0]?.state ?? 'unknown',
      incidents: of.length,
      budgetSpent: sum(of.map(({ budgetSpent = 0 }) => budgetSpent)),
    }))
    .toSorted((a, b) => b.budgetSpent - a.budgetSpent);
}
