import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { runCommand } from '../../src/processes.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';

jest.setTimeout(60_000); // a command takes seconds to start
const folder = scratchFolder();
afterAll(() => removeScratch(folder));

const scriptFor = async (shell: string): Promise<string> => {
  const args = ['src/cli/main.ts', 'completion', shell];
  return (await runCommand({ command: 'node', args, env: { HOLDFAST_STATE_DIR: folder } })).stdout;
};
const there = async (command: string): Promise<boolean> =>
  await runCommand({ command, args: ['--version'] }).then(
    () => true,
    () => false,
  );

it('completes commands, their own commands, options and choices in bash', async () => {
  const file = join(folder, 'holdfast.bash');
  writeFileSync(file, await scriptFor('bash'));
  const completed = async (...words: string[]): Promise<string[]> => {
    const typed = ['holdfast', ...words].map((word) => `'${word}'`).join(' ');
    const ask = `source ${file}; COMP_WORDS=(${typed}); COMP_CWORD=${words.length}; _holdfast; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = await runCommand({ command: 'bash', args: ['-uc', ask] });
    return stdout.trim().split('\n').filter(Boolean);
  };
  expect(await completed('inc')).toEqual(['incidents', 'incident']);
  expect(await completed('token', '')).toEqual(['create', 'list', 'revoke', '--help']);
  expect(await completed('token', 'create', 'ci', '--s')).toEqual(['--scope', '--service']);
  expect(await completed('approve', 'incident.shop.high-error-rate', '--pro')).toEqual(['--proposal']);
  expect(await completed('completion', '')).toEqual(expect.arrayContaining(['bash', 'zsh', 'fish']));
  expect(await completed('watch', '$(id)')).toEqual([]);
});

it('ends without a word when whoever reads it has read enough', async () => {
  const command = `'${process.execPath}' src/cli/main.ts completion bash | true; echo "\${PIPESTATUS[0]}"`;
  const ended = await execa('bash', ['-c', command]);
  expect(ended).toMatchObject({ stdout: '141', stderr: '' });
});

it.each(['zsh', 'fish'])('writes a script that %s can read, with every command in it', async (shell) => {
  const script = await scriptFor(shell);
  for (const command of ['incidents', 'watch', 'oncall', 'kill-switch']) expect(script).toContain(command);
  const file = join(folder, `holdfast.${shell}`);
  writeFileSync(file, script);
  if (await there(shell)) await runCommand({ command: shell, args: ['-n', file] });
});
