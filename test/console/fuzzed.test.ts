/** The running API, asked whatever its own document lets be asked, and what it does not. */
import { execa } from 'execa';
import { schemathesis } from '../../src/embedded/schemathesis.ts';
import { startPeople, type PeopleRig } from './people.ts';
import { startConsole, type ConsoleRig } from './rig.ts';

const SEED = 20260101;
const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
  'negative_data_rejection',
  'ignored_auth',
];
let rig: ConsoleRig;
let people: PeopleRig;
beforeAll(async () => {
  people = await startPeople();
  rig = await startConsole({ env: { ...people.env, HOLDFAST_API_PER_MINUTE: '100000' } });
}, 180_000);
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  await people[Symbol.asyncDispose]();
}, 60_000);

/** Each with who asks: ending a session is asked last, of one that nothing else needs. */
const PARTS: [string, string, string[]][] = [
  ['everything but decisions and sessions', 'cto', ['--exclude-path-regex', 'decision$|session$']],
  ['decisions', 'lead', ['--include-path-regex', 'decision$']],
  ['sessions', 'viewer', ['--include-path', '/api/session']],
];

it.each(PARTS)(
  'answers as its document says, and never with a 5xx: %s',
  async (_, person, filter) => {
    if (person === 'cto') await rig.waiting();
    const session = rig.store.openSession(person, `${person}@example.com`);
    const options = [
      `--header=Authorization: Bearer ${session}`,
      `--checks=${CHECKS.join()}`,
      '--phases=examples,coverage,fuzzing',
      '--max-examples=10',
      `--seed=${SEED}`,
      '--generation-database=none',
      '--no-shrink',
      '--request-timeout=10',
      '--continue-on-failure',
      '--warnings=off',
      '--no-color',
    ];
    const args = ['run', `${rig.url}/api/openapi.json`, ...options, ...filter];
    const { exitCode, stdout } = await execa(await schemathesis(), args, { cwd: rig.stateDir, reject: false });
    expect({ exitCode, told: exitCode === 0 ? '' : stdout }).toEqual({ exitCode: 0, told: '' });
    expect(rig.logged.filter((line) => line.startsWith('api: '))).toEqual([]);
  },
  120_000,
);
