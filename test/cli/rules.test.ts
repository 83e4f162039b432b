import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { readAudit } from '../../src/audit.ts';
import { program } from '../../src/cli/program.ts';
import { pathOf, RULES } from '../../src/cli/rules.ts';
import { settings } from '../console/settings.ts';
import { scratch } from '../gateway/rig.ts';

const leaves = ({ commands }: Pick<Command, 'commands'>): Command[] =>
  commands.flatMap((one) => (one.commands.length === 0 ? [one] : leaves(one)));
const actsAs = (command: Command): boolean => command.options.some(({ long }) => long === '--as');
const all = leaves(program);

/** Each with why it prints for people alone. */
const FOR_PEOPLE: Record<string, string> = {
  start: 'stays up, and asks whoever looks on',
  up: 'stays up until Ctrl-C',
  mcp: 'speaks a protocol of its own',
  completion: 'prints a script for a shell',
};

it('prints for a program where asked to, but for what is for people alone', () => {
  const asText = all.filter(({ options }) => !options.some(({ long }) => long === '--json'));
  expect(asText.map(pathOf).sort()).toEqual(Object.keys(FOR_PEOPLE).sort());
});

it('has a rule for each command, and none for what is no command', () => {
  expect(Object.keys(RULES).sort()).toEqual(all.map(pathOf).sort());
});

it.each(all.filter(actsAs).map(pathOf))('asks for a role of whoever `%s` acts as', (path) =>
  expect(['read', 'respond', 'decide', 'deploy', 'administer']).toContain(RULES[path]),
);

it.each(all.filter((command) => !actsAs(command)).map(pathOf))('acts as nobody: `%s`', (path) =>
  expect(['gateway', 'machine']).toContain(RULES[path]),
);

it.each([
  ['somebody who may only look', 'viewer', 5, 'viewer may not deploy: rollback needs another role than viewer'],
  ['nobody', 'mallory', 2, '"mallory" is nobody'],
])(
  'refuses a rollback as %s, before anything is asked of Temporal, and the audit trail has it',
  async (_, who, code, why) => {
    await using folder = scratch();
    const { stateDir } = folder;
    const file = join(stateDir, 'holdfast.config.mjs');
    writeFileSync(file, `export default ${JSON.stringify(settings)};\n`);
    const env = {
      ...process.env,
      HOLDFAST_STATE_DIR: stateDir,
      HOLDFAST_CONFIG: file,
      TEMPORAL_ADDRESS: '127.0.0.1:1',
    };
    const args = ['src/cli/main.ts', 'rollback', 'shop', 'production', '--as', who];
    const { status, stderr } = spawnSync(process.execPath, args, {
      cwd: resolve(__dirname, '../..'),
      env,
      encoding: 'utf8',
    });
    expect(status).toBe(code);
    expect(stderr).toContain(why);
    expect(readAudit(stateDir, 1)).toMatchObject([{ who, what: 'rollback', on: 'shop', result: 'refused' }]);
  },
);
