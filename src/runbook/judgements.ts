/** What the readings of a diagnosis mean: verdict and one line for people. Shared by every runbook. */
import type { Policy } from '../contracts/index.ts';
import type * as readings from '../contracts/readings.ts';
import { limitsOf, type Limited } from './limits.ts';
import type { Judgement } from './run.ts';

/** Share of the failing events that must carry one value before it counts as correlated. */
export const CORRELATED = 0.9;
const GIB = 2 ** 30;
/** A release younger than this is in its bake window and the first suspect. */
const BAKE_MS = 60 * 60 * 1000;

const percent = (ratio: number): string => `${(ratio * 100).toFixed(ratio < 0.1 ? 2 : 0)} %`;
/** A moment as people read it, to the minute. */
export const minute = (at: string): string => `${at.slice(0, 10)} ${at.slice(11, 16)} UTC`;
export const ms = (value: number): string => `${Math.round(value)} ms`;

export const judgeReleases =
  (now: number) =>
  ({ running, previous }: readings.Releases): Judgement => {
    if (running === undefined) return ['bad', 'no release takes traffic'];
    const young = now - Date.parse(running.deployedAt) < BAKE_MS;
    const before = previous === undefined ? 'nothing ran before it' : `${previous.version} ran before it`;
    return [
      young ? 'bad' : 'ok',
      `${running.version} runs since ${minute(running.deployedAt)}${young ? ', still in its bake window' : ''}; ${before}`,
      { running: { version: running.version, deployedAt: running.deployedAt } },
    ];
  };

export const judgePatterns = (patterns: readings.ErrorPattern[]): Judgement => {
  if (patterns.length === 0) return ['ok', 'no errors in the window'];
  const fresh = patterns.filter((pattern) => pattern.newInRelease).length;
  const top = patterns
    .slice(0, 3)
    .map((pattern) => `${pattern.count} × ${pattern.title}${pattern.newInRelease ? ' (new in this release)' : ''}`);
  return [
    'bad',
    `${patterns.length} ${patterns.length === 1 ? 'pattern' : 'patterns'}, ${fresh} new in the running release: ${top.join('; ')}`,
  ];
};

export const judgeUsers = ({ count, sampled }: readings.AffectedUsers): Judgement => [
  count === 0 ? 'ok' : 'bad',
  `${sampled ? 'at least ' : ''}${count} users met an error`,
];

const withoutFolders = (frame: string): string => frame.replaceAll(/(\/[^\s/():]+)+\/(?=[^\s/():]+)/g, '');

export const judgeTrace = ({ pattern, frames }: readings.StackTrace): Judgement =>
  frames.length === 0
    ? ['ok', 'no stack trace in the window']
    : ['bad', `${pattern} at ${frames.slice(0, 3).map(withoutFolders).join(' ← ')}`];

const FRAME = /^.*? \((.+):[\d?]+\)$/;
const FOREIGN = /(?:^|\/)node_modules\/|^node:|<anonymous>|^\?$/;

/** Files of the application's own frames, the innermost first. */
export const failingFiles = ({ frames }: readings.StackTrace): string[] => [
  ...new Set(frames.flatMap((frame) => FRAME.exec(frame)?.[1] ?? []).filter((file) => !FOREIGN.test(file))),
];

export const judgeCorrelations = ({ events, releases, flags }: readings.ErrorCorrelations): Judgement => {
  if (events === 0) return ['ok', 'no errors to correlate'];
  const all = [
    ...releases.map(({ release, share }) => ({ what: release, share })),
    ...flags.map(({ flag, value, share }) => ({ what: `${flag}=${value}`, share })),
  ];
  return [
    'bad',
    all.length === 0
      ? 'the events carry neither release nor flags'
      : all
          .slice(0, 5)
          .map(({ what, share }) => `${percent(share)} carry ${what}`)
          .join('; '),
  ];
};

export const judgeSupabase = ({ rest, sql }: readings.SupabaseHealth): Judgement => [
  rest.ok && sql?.ok !== false ? 'ok' : 'bad',
  [
    `REST ${rest.ok ? `answers in ${ms(rest.ms)}` : `fails: ${rest.detail}`}`,
    sql === undefined ? 'SQL not configured' : `SQL ${sql.ok ? `answers in ${ms(sql.ms)}` : `fails: ${sql.detail}`}`,
  ].join('; '),
];

export const judgeHealth =
  (p95LimitMs: number) =>
  ({ probes, failed, status, p95Ms, url }: readings.HttpHealth): Judgement =>
    failed > 0
      ? ['bad', `${failed} of ${probes} probes of ${url} failed (last status ${status})`]
      : [p95Ms > p95LimitMs ? 'bad' : 'ok', `${probes} probes of ${url} answered, p95 ${ms(p95Ms)}`];

const tooFew = (requests: number, { measure }: Policy): Judgement | undefined =>
  requests < measure.minimumRequests
    ? ['unknown', `only ${requests} requests in the window: too few to say`]
    : undefined;

export const judgeResponseTimes =
  (policy: Policy, limitMs?: number) =>
  ({ p50Ms, p95Ms, requests }: readings.ResponseTimes): Judgement => {
    const limit = limitMs ?? policy.objectives.p95Ms;
    return (
      tooFew(requests, policy) ?? [
        p95Ms > limit ? 'bad' : 'ok',
        `p50 ${ms(p50Ms)}, p95 ${ms(p95Ms)} (${limitMs === undefined ? 'objective' : 'limit'} ${ms(limit)})`,
        { readings: [{ quantity: 'p95-ms', value: p95Ms, limit }] },
      ]
    );
  };

export const judgeErrorRatio =
  (policy: Policy, limit = policy.objectives.errorRatio) =>
  ({ ratio, requests }: readings.ErrorRatio): Judgement =>
    tooFew(requests, policy) ?? [
      ratio >= limit ? 'bad' : 'ok',
      `${percent(ratio)} of ${Math.round(requests)} requests failed (limit ${percent(limit)})`,
      { readings: [{ quantity: 'error-ratio', value: ratio, limit }] },
    ];

export const judgeErrorCount =
  (limit: number) =>
  ({ count, windowSeconds }: readings.ErrorCount): Judgement => [
    count >= limit ? 'bad' : 'ok',
    `the error tracker counts ${count} errors within ${windowSeconds} s (limit ${limit})`,
  ];

export const judgeSaturation =
  (policy: Limited) =>
  ({ busiest, instances }: readings.Saturation): Judgement => [
    busiest >= limitsOf(policy).coreUsed ? 'bad' : 'ok',
    `the busiest of ${instances} instances uses ${percent(busiest)} of a core`,
  ];

export const judgeFlags = (flags: readings.FlagState[]): Judgement => [
  'ok',
  flags.length === 0 ? 'no flags' : flags.map(({ flag, variant }) => `${flag}=${variant}`).join(', '),
];

export const judgeConnections =
  (policy: Limited) =>
  ({ max, reserved, used, groups, ...others }: readings.ConnectionUse): Judgement => {
    const open = max - reserved;
    const { replication, autovacuum } = others;
    const alone = [
      replication > 0 && `${replication} of replication`,
      autovacuum > 0 && `${autovacuum} of autovacuum`,
    ].filter(Boolean);
    const most = groups
      .slice(0, 3)
      .map(({ count, ...group }) => [count, '×', group.user, group.application, group.state].filter(Boolean).join(' '));
    return [
      used / open > limitsOf(policy).connectionsUsed ? 'bad' : 'ok',
      [
        `${used} of ${open} connections: ${most.join('; ')}`,
        alone.length > 0 && `beside them, and left alone: ${alone.join(', ')}`,
      ]
        .filter(Boolean)
        .join('; '),
    ];
  };

export const judgeInTheWay = (sessions: readings.SessionInTheWay[]): Judgement => {
  if (sessions.length === 0) return ['ok', 'no session is long in a transaction or holds others up'];
  const shown = sessions
    .slice(0, 3)
    .map((one) => `${one.pid} (${one.user}) ${one.state} for ${one.seconds} s, ${one.blocks} wait for it`);
  return ['bad', `${sessions.length} sessions are in the way: ${shown.join('; ')}`];
};

export const judgeDisk =
  (policy: Limited) =>
  ({ usedBytes, sizeBytes }: readings.DiskUse): Judgement => {
    const used = `${(usedBytes / GIB).toFixed(1)} GiB in use`;
    return sizeBytes === undefined
      ? ['unknown', `${used}; how large the disk is, nobody has said (database.diskGiB)`]
      : [
          usedBytes / sizeBytes > limitsOf(policy).diskUsed ? 'bad' : 'ok',
          `${used}, ${percent(usedBytes / sizeBytes)} of ${(sizeBytes / GIB).toFixed(1)} GiB`,
        ];
  };

export const judgeHostedServices = (services: readings.HostedService[]): Judgement => {
  const ill = services.filter(({ healthy }) => !healthy);
  return ill.length === 0
    ? ['ok', `${services.map(({ name }) => name).join(', ')} are healthy, says Supabase`]
    : ['bad', ill.map(({ name, status }) => `${name}: ${status}`).join('; ')];
};

export const judgeAdvice = (advice: readings.Advice[]): Judgement => [
  advice.some(({ level }) => level === 'ERROR') ? 'bad' : 'ok',
  advice.map(({ title }) => title).join('; ') || 'Supabase advises nothing',
];

export const judgeHostedCapacity =
  (policy: Limited) =>
  ({ compute, poolSize, maxClients, disk }: readings.HostedCapacity): Judgement => {
    const [verdict, summary] = judgeDisk(policy)(disk);
    const pooler = poolSize === undefined ? '' : `, the pooler holds ${poolSize} connections`;
    const clients = maxClients === undefined ? '' : ` for up to ${maxClients} clients`;
    return [verdict, `${compute}${pooler}${clients}; ${summary}`];
  };

/** A busy pool makes clients wait for a moment; only a wait that users feel counts. */
export const waitsLong = ({ clientsWaiting, maxWaitMs }: readings.PoolUse, policy: Limited): boolean =>
  clientsWaiting > 0 && maxWaitMs > limitsOf(policy).poolWaitMs;

export const judgePool =
  (policy: Limited) =>
  ({ pool, size, ...now }: readings.PoolUse): Judgement => [
    waitsLong({ pool, size, ...now }, policy) ? 'bad' : 'ok',
    `${pool}: ${now.clientsWaiting} clients wait (the longest ${ms(now.maxWaitMs)}), ${now.serversActive} of ${size} connections in use`,
    { readings: [{ quantity: 'pool-waiting', value: now.clientsWaiting }] },
  ];

/** The database, of what could be read of it: what is bad first. Nothing where nothing could be read. */
export const judgeDatabase =
  (policy: Limited) =>
  ({
    health,
    pool,
    inTheWay,
  }: {
    health: readings.SupabaseHealth | undefined;
    pool: readings.PoolUse | undefined;
    inTheWay: readings.SessionInTheWay[] | undefined;
  }): Judgement | undefined => {
    const judged = [
      ...(health === undefined ? [] : [judgeSupabase(health)]),
      ...(pool === undefined ? [] : [judgePool(policy)(pool)]),
      ...(inTheWay === undefined ? [] : [judgeInTheWay(inTheWay)]),
    ];
    return judged.find(([verdict]) => verdict === 'bad') ?? judged[0];
  };

export const judgeStatements = (statements: readings.SlowStatement[]): Judgement => {
  const [worst] = statements;
  if (worst === undefined) return ['ok', 'no statement is slow'];
  const { index } = worst;
  const cost = index?.costWith === undefined ? '' : `, cost ${index.costNow} → ${index.costWith}`;
  const hint = index === undefined ? '' : `; an index on ${index.table} (${index.columns.join(', ')}) serves it${cost}`;
  const asleep = statements.every(({ ran }) => ran === false) ? ', none of which runs now' : '';
  return [
    'bad',
    `${statements.length} slow${asleep}; the worst takes ${ms(worst.meanMs)} × ${worst.calls}: ${worst.query}${hint}`,
  ];
};

/** Whether a new connection succeeds: by SQL where that is configured, else by REST. */
const judgeConnecting = ({ rest, sql }: readings.SupabaseHealth): Judgement => {
  const [by, { ok, ms: took, detail }] = sql === undefined ? (['REST', rest] as const) : (['SQL', sql] as const);
  return [ok ? 'ok' : 'bad', ok ? `${by} answers in ${ms(took)}` : `${by} fails: ${detail}`];
};

/** Recovered: errors are under the objective, answers are quick, nobody waits for a connection, and a new one succeeds. */
export const judgeRecovery =
  (policy: Policy) =>
  ({
    ratio,
    times,
    pool,
    supabase,
  }: {
    ratio: readings.ErrorRatio;
    times: readings.ResponseTimes;
    pool?: readings.PoolUse | undefined;
    supabase?: readings.SupabaseHealth | undefined;
  }): Judgement => {
    const judged = [
      judgeErrorRatio(policy)(ratio),
      judgeResponseTimes(policy)(times),
      ...(pool === undefined ? [] : [judgePool(policy)(pool)]),
      ...(supabase === undefined ? [] : [judgeConnecting(supabase)]),
    ];
    const worst =
      (['bad', 'unknown', 'ok'] as const).find((verdict) => judged.some(([one]) => one === verdict)) ?? 'ok';
    const seen = judged.flatMap(([, , { readings = [] } = {}]) => readings);
    return [worst, judged.map(([, summary]) => summary).join('; '), { readings: seen }];
  };
