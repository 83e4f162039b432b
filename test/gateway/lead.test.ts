import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { createLead } from '../../src/gateway/lead.ts';
import { until } from '../support/until.ts';
import { scratch } from './rig.ts';

const leading = (stateDir: string, logged: string[] = [], leaseMs = 300) => {
  const lead = createLead({ stateDir, leaseMs, log: (line) => void logged.push(line) });
  return { ...lead, [Symbol.dispose]: lead.stop };
};

it('is held by one gateway of a folder, and by the other at once when that ends', async () => {
  await using folder = scratch();
  const said: string[] = [];
  const first = leading(folder.stateDir);
  using second = leading(folder.stateDir, said);
  expect([first.leads(), second.leads()]).toEqual([true, false]);
  first.stop();
  await until(() => second.leads());
  expect(said).toEqual(['gateway: another one leads, this one stands by', 'gateway: this one leads now']);
});

it('is held no longer by a gateway that was stopped, as soon as it goes on', async () => {
  await using folder = scratch();
  const program = `
    import { createLead } from ${JSON.stringify(require.resolve('../../src/gateway/lead.ts'))};
    const lead = createLead({ stateDir: process.argv[1], leaseMs: 300, log: console.log });
    process.stdin.on('data', () => console.log(lead.leads() ? 'leads' : 'does not lead'));`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program, folder.stateDir]);
  let said = '';
  child.stdout.on('data', (chunk) => void (said += String(chunk)));
  try {
    child.stdin.write('\n');
    await until(() => said.includes('leads\n'));
    child.kill('SIGSTOP');
    using other = leading(folder.stateDir);
    expect(other.leads()).toBe(false);
    await until(() => other.leads());
    child.stdin.write('\n'); // it was about to send
    child.kill('SIGCONT');
    await until(() => said.includes('does not lead\n'));
    expect(other.leads()).toBe(true);
  } finally {
    child.kill('SIGKILL');
  }
});

it('ends with its lease where a gateway cannot leave it, which stops all the same and says so', async () => {
  await using folder = scratch();
  const said: string[] = [];
  const first = leading(folder.stateDir, said);
  using db = new DatabaseSync(join(folder.stateDir, 'inbox.sqlite'));
  db.exec('begin immediate');
  first.stop();
  db.exec('rollback');
  expect(said).toEqual([expect.stringContaining('database is locked')]);
  using second = leading(folder.stateDir);
  await until(() => second.leads());
});
