import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { group, scratch } from '../gateway/rig.ts';

const ROOT = resolve(__dirname, '../..');

let folder: ReturnType<typeof scratch>;
beforeEach(() => {
  folder = scratch();
});
afterEach(() => folder[Symbol.asyncDispose]());

const holdfast = (args: string[], input = '') => {
  const env = { ...process.env, HOLDFAST_STATE_DIR: folder.stateDir };
  const { status, stdout, stderr } = spawnSync(process.execPath, [join('src', 'cli', 'main.ts'), ...args], {
    cwd: ROOT,
    env,
    input,
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
};
const routed = (body: unknown, ...args: string[]) => holdfast(['route', ...args], JSON.stringify(body));
const SILENCE = ['silence', 'alertname=HighErrorRate', '--for', '2 hours', '--reason', 'a drill', '--as', 'responder'];

it('says where the alerts of a body would go, by which route, and what cannot be read', () => {
  const of = (name: string, service: string) => group({ name, service, labels: { environment: 'production' } });
  const known = routed(of('HighErrorRate', 'shop'), '--source', 'alertmanager');
  expect(known).toMatchObject({
    status: 0,
    stdout: '"HighErrorRate" firing → incident.shop.high-error-rate in production, by routes[0]\n',
  });
  const unknown = routed(of('Odd', 'nobody'), '--source', 'alertmanager', '--json');
  expect(JSON.parse(unknown.stdout)).toMatchObject([{ alert: 'Odd', type: 'triage', route: null, silence: null }]);
  expect(routed({ alerts: 1 }, '--source', 'alertmanager')).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('this is no body of alertmanager'),
  });
  expect(routed({}, '--source', 'nagios')).toMatchObject({ status: 2, stderr: expect.stringContaining('there are: ') });
});

it('silences alerts for a while with a reason and a name, lists that, and ends it', () => {
  expect(holdfast(SILENCE)).toMatchObject({ status: 0 });
  const [silence] = JSON.parse(holdfast(['silences', '--json']).stdout) as { id: string; by: string; reason: string }[];
  expect(silence).toMatchObject({ by: 'responder', reason: 'a drill' });
  const body = group({ labels: { environment: 'production' } });
  expect(routed(body, '--source', 'alertmanager').stdout).toContain(`held by silence ${silence?.id} until`);
  const ended = holdfast(['unsilence', String(silence?.id), '--as', 'responder', '--json']);
  expect(JSON.parse(ended.stdout)).toEqual({ ended: silence?.id });
  expect(holdfast(['unsilence', String(silence?.id), '--as', 'responder'])).toMatchObject({ status: 4 });
  expect(holdfast(['silences']).stdout).toBe('nothing is silenced\n');
});

it.each([
  ['a word that is no label', SILENCE.with(1, 'HighErrorRate'), '"HighErrorRate" is no label=value'],
  ['a duration that is none', SILENCE.with(3, 'a while'), '--for a while'],
  ['no reason', SILENCE.with(5, ' '), 'say why'],
  ['somebody who is nobody', SILENCE.with(7, 'mallory'), '"mallory" is nobody'],
])('refuses a silence with %s', (_, args, says) => {
  expect(holdfast(args)).toMatchObject({ status: 2, stderr: expect.stringContaining(says) });
  expect(JSON.parse(holdfast(['silences', '--json']).stdout)).toEqual([]);
});

it('refuses a silence of more than a year', () => {
  const stderr = expect.stringContaining('a year at most');
  expect(holdfast(SILENCE.with(3, '9999 days'))).toMatchObject({ status: 5, stderr });
});
