/** Every command that the documents name is one, with these options; what is cheap and harms nothing is run. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { simulatedCode, simulatedPolicy } from '../../activities/simulator.ts';
import { program } from '../../src/cli/program.ts';
import { ReviewSettings, type Learned, type Status } from '../../src/contracts/index.ts';
import { endedStatus } from '../support/ended.ts';
import { until } from '../support/until.ts';
import { startRig, type Rig } from './rig.ts';
import type { Ended } from './run-commands.ts';

const ROOT = join(__dirname, '..', '..');
const documents = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/*.md', { cwd: ROOT })];
/** A command as it is written: up to a comment, a pipe, a redirection, or the end of the code. */
const WRITTEN = /(?:npm run -s holdfast -- |`holdfast )([a-z][^`#|><)\n]*(?:<[\w ]+>[^`#|><)\n]*)*)/g;
const ID = 'incident.shop.high-error-rate';
/** What takes minutes, a gateway, another Temporal or its own standard input, by the test that runs it. */
const ELSEWHERE: Record<string, string> = {
  account: 'test/cli/account.test.ts',
  approve: 'test/console/cli.test.ts',
  deploy: 'test/e2e/deployment.test.ts',
  doctor: 'test/cli/doctor.test.ts',
  gameday: 'test/e2e/incident.test.ts',
  login: 'test/console/cli.test.ts',
  mcp: 'test/console/mcp.test.ts',
  rollback: 'test/e2e/deployment.test.ts',
  route: 'test/cli/alerts.test.ts',
  token: 'test/console/cli.test.ts',
  watch: 'test/console/cli.test.ts',
  'what-if': 'test/cli/what-if.test.ts',
};
/** They last until they are ended, or until a build is empty; `test/e2e` and `test/workers/versioning.test.ts` do what they do. */
const LASTING = ['up', 'worker use', 'worker drain'];

const textOf = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const namedBy = (pattern: RegExp): string[] => [
  ...new Set(documents.flatMap((file) => [...textOf(file).matchAll(pattern)].map(([, found = '']) => found.trim()))),
];
const written = namedBy(WRITTEN);
const wordsOf = (command: string): string[] => command.match(/"[^"]*"|<[^>]*>|\S+/g) ?? [];
/** With what stands for a value, and with a day that is not over. */
const filled = (command: string): string[] =>
  wordsOf(command).flatMap((word) => {
    if (word.startsWith('[')) return [];
    if (word === '<person>') return ['responder'];
    if (word === '<id>') return [ID];
    if (Number.isFinite(Date.parse(word)) && word.includes('T'))
      return [new Date(Date.now() + 3_600_000).toISOString()];
    return [word.replaceAll('"', '')];
  });
const run = written.filter(
  (command) =>
    ELSEWHERE[wordsOf(command)[0] ?? ''] === undefined && !LASTING.some((lasting) => command.startsWith(lasting)),
);

it('finds the commands that it is to hold', () => {
  expect(written.length).toBeGreaterThan(30);
  expect(run.length).toBeGreaterThan(15);
  expect(written).toContain('deploy shop staging --as responder --ref v3');
});

it.each(written)('has %s', (command) => {
  const words = wordsOf(command).filter((word) => !/^[<[]/.test(word));
  const named = (among: typeof program, name: string | undefined) => among.commands.find((one) => one.name() === name);
  const first = named(program, words[0]);
  const told = first?.commands.length ? named(first, words[1]) : first;
  const options = told?.options.map(({ long }) => long);
  expect(options).toEqual(expect.arrayContaining(words.filter((word) => word.startsWith('--'))));
});

it('has the scripts of npm and of Node that are named', () => {
  const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> };
  expect(namedBy(/npm run (?:-s )?([a-z]+)/g).filter((name) => scripts[name] === undefined)).toEqual([]);
  expect(namedBy(/\bnode ((?:scripts|src|bench)\/[\w./-]+)/g).filter((file) => !existsSync(join(ROOT, file)))).toEqual(
    [],
  );
});

it.each(Object.entries(ELSEWHERE))('has %s run by %s', (command, file) => {
  expect(textOf(file)).toContain(`'${command}'`);
});

describe('beside a Temporal in which an incident has ended', () => {
  let rig: Rig;
  let ended: Ended[];
  beforeAll(async () => {
    const measure = { windowSeconds: 1, lasting: '1 second', every: '1 second', minimumRequests: 0 };
    const policy = { ...simulatedPolicy, measure, review: ReviewSettings.parse({}) };
    rig = await startRig({ policy: async () => policy });
    const of = { workflowId: ID, taskQueue: 'holdfast', args: [endedStatus().incident] };
    const handle = await rig.client.workflow.start('highErrorRate', of);
    const phase = async () => (await handle.query<Status>('status').catch(() => undefined))?.phase;
    await until(async () => (await phase()) === 'waiting');
    await handle.signal('approve', { by: 'responder', code: simulatedCode('responder') });
    await handle.result();
    await until(async () => (await rig.json<Learned[]>('reviews')).some(({ document }) => document !== undefined));
    ended = await rig.inTurn(run.map(filled));
  }, 120_000);
  afterAll(() => rig?.close());

  it.each(run.map((command, i) => [command, i] as const))('runs %s', (_, i) => {
    expect(ended[i]).toEqual({ code: 0, text: expect.any(String) });
  });
});
