const DAY_MS = 86_400_000;
/** What ended so had no traffic that anybody knows of. */
const UNTOUCHED: readonly Deployed['outcome'][] = ['refused', 'superseded'];

/** Times are ISO 8601, UTC. */
export interface Deployed {
  environment: string;
  version: string;
  startedAt: string;
  endedAt: string;
  outcome: 'verified' | 'rolled-back' | 'failed' | 'refused' | 'superseded';
  /** When each commit was made that came with it. */
  commitAt?: string[];
}
/** An incident that was mitigated, or a rollback. */
export interface Restoration {
  startedAt: string;
  endedAt: string;
  /** The version that it took the traffic from, and that is held since. */
  tookBack?: string;
}

/** Undefined where there is nothing to say: no data is never 0. */
export interface Dora {
  /** Those that took traffic; `refused` did not, and `superseded` only where a rollback took it back. */
  deployments: number;
  perDay: number | undefined;
  /** From commit to verified: the median of all commits. */
  leadTimeMs: number | undefined;
  /** 0..1: rolled back, at once or later, or failed, of those that took traffic. */
  changeFailureRate: number | undefined;
  /** From the beginning of an incident, or of a rollback, to its end: the median. */
  timeToRestoreMs: number | undefined;
}

/**
 * DORA's four keys over what ended from `from` on and before `until`. The caller chooses whose: they say something of one service in
 * one environment, its production. A time span that is negative, as by a clock that is wrong, is left out.
 * Source: https://dora.dev/guides/dora-metrics-four-keys/
 */
export function doraOf(of: {
  deployments: Deployed[];
  restorations: Restoration[];
  from: string;
  until: string;
}): Dora {
  const [from, until] = [Date.parse(of.from), Date.parse(of.until)];
  const within = ({ endedAt }: { endedAt: string }): boolean =>
    from <= Date.parse(endedAt) && Date.parse(endedAt) < until;
  const tookBack = takenBack(of.deployments, of.restorations);
  const live = of.deployments.filter(within).filter((one) => tookBack.has(one) || !UNTOUCHED.includes(one.outcome));
  const verified = live.filter(({ outcome }) => outcome === 'verified');
  const failed = live.filter((one) => tookBack.has(one) || one.outcome !== 'verified');
  const some = live.length > 0;
  return {
    deployments: live.length,
    perDay: some ? live.length / ((until - from) / DAY_MS) : undefined,
    leadTimeMs: median(verified.flatMap(({ commitAt = [], endedAt }) => commitAt.map((at) => spanMs(at, endedAt)))),
    changeFailureRate: some ? failed.length / live.length : undefined,
    timeToRestoreMs: median(of.restorations.filter(within).map(({ startedAt, endedAt }) => spanMs(startedAt, endedAt))),
  };
}

/** Of each version that was taken back, its newest deployment before that: one whose canary was, has had traffic too. */
function takenBack(deployments: Deployed[], restorations: Restoration[]): Set<Deployed> {
  const begun = deployments.toSorted((a, b) => Date.parse(a.startedAt) - Date.parse(b.startedAt));
  return new Set(
    restorations.flatMap(({ tookBack, endedAt }) => {
      const before = ({ startedAt }: Deployed): boolean => Date.parse(startedAt) <= Date.parse(endedAt);
      return begun.findLast((one) => one.version === tookBack && one.outcome !== 'refused' && before(one)) ?? [];
    }),
  );
}

const spanMs = (start: string, end: string): number => Date.parse(end) - Date.parse(start);

function median(spans: number[]): number | undefined {
  const sorted = spans.filter((ms) => ms >= 0).toSorted((a, b) => a - b);
  const [low, high] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[Math.floor(sorted.length / 2)]];
  return low === undefined || high === undefined ? undefined : (low + high) / 2;
}
