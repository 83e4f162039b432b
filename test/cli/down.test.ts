import { spawn } from 'node:child_process';
import { freePort } from '../../src/embedded/ports.ts';
import { listProcesses, runCommand } from '../../src/processes.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { until } from '../support/until.ts';

const stateDir = scratchFolder();
afterAll(() => removeScratch(stateDir));

it('ends the platform of a state folder, and does nothing where none runs', async () => {
  const env = {
    HOLDFAST_STATE_DIR: stateDir,
    HOLDFAST_TEMPORAL_PORT: String(await freePort()),
    HOLDFAST_TEMPORAL_UI_PORT: String(await freePort()),
  };
  const down = (...of: string[]) =>
    runCommand({ command: process.execPath, args: ['src/cli/main.ts', 'down', ...of], env });
  const args = ['src/embedded/main.ts', '--only', 'temporal'];
  const platform = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => void platform.on('exit', resolve));
  let said = '';
  platform.stdout.on('data', (chunk) => void (said += String(chunk)));
  await until(() => said.includes('Ready.'));
  expect(await listProcesses(stateDir)).toMatchObject([{ name: 'temporal' }]);
  expect((await down()).stdout).toContain('ended, 2 processes');
  expect(await ended).toBe(0);
  expect(await listProcesses(stateDir)).toEqual([]);
  expect((await down()).stdout).toContain('nothing runs');
  expect(JSON.parse((await down('--json')).stdout)).toEqual({ ended: 0 });
});
