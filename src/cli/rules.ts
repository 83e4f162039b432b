import type { Command } from 'commander';
import { loadConfig, loadSettings } from '../config.ts';
import type { Settings } from '../contracts/index.ts';
import { rightsOf, type Right } from '../rights.ts';
import { assertPerson, usageError } from './context.ts';
import { noting } from './noting.ts';

const NOT_ALLOWED = 5;

/**
 * What each command asks of the person that it acts as. `gateway`: it is asked of the gateway, by whose rules who has signed in
 * may. `machine`: it reads, or changes what is this machine's, for whoever has its environment.
 */
export const RULES: Record<string, Right | 'gateway' | 'machine'> = {
  approve: 'decide',
  reject: 'decide',
  ack: 'respond',
  note: 'respond',
  pause: 'respond',
  resume: 'respond',
  stop: 'respond',
  'take-over': 'respond',
  'kill-switch': 'respond',
  'hand-over': 'respond',
  silence: 'respond',
  unsilence: 'respond',
  'confirm-cause': 'respond',
  'skip-review': 'respond',
  'action-item close': 'respond',
  'action-item change': 'respond',
  'what-if': 'respond',
  deploy: 'deploy',
  rollback: 'deploy',
  freeze: 'deploy',
  unfreeze: 'deploy',
  inbox: 'read',
  account: 'administer',
  login: 'gateway',
  logout: 'gateway',
  whoami: 'gateway',
  'token create': 'gateway',
  'token list': 'gateway',
  'token revoke': 'gateway',
  mcp: 'gateway',
  start: 'machine',
  up: 'machine',
  down: 'machine',
  doctor: 'machine',
  'worker list': 'machine',
  'worker use': 'machine',
  'worker drain': 'machine',
  gameday: 'machine',
  drill: 'machine',
  drills: 'machine',
  incidents: 'machine',
  incident: 'machine',
  watch: 'machine',
  deployments: 'machine',
  deployment: 'machine',
  stats: 'machine',
  slo: 'machine',
  route: 'machine',
  silences: 'machine',
  oncall: 'machine',
  escalations: 'machine',
  reviews: 'machine',
  review: 'machine',
  'audit verify': 'machine',
  'audit list': 'machine',
  completion: 'machine',
};

/** As it is typed: `action-item close`. */
export const pathOf = (command: Command): string =>
  command.parent === null ? '' : `${pathOf(command.parent)} ${command.name()}`.trim();

/** Before a command acts as a person: there is one of this name, with a role that may. What is refused is in the audit trail. */
export async function assertRuled(command: Command): Promise<void> {
  const { as: who } = command.opts<{ as?: string }>();
  if (who === undefined) return;
  const config = loadConfig();
  const what = pathOf(command);
  const refusal = refusalOf(await loadSettings(config), who, what);
  if (refusal === undefined) return;
  await noting(config, { who, what, on: command.args[0] ?? '-' }, () => Promise.reject(refusal));
}

function refusalOf(settings: Settings, who: string, what: string): Error | undefined {
  try {
    const person = assertPerson(settings, who);
    const rights: ReadonlySet<unknown> = rightsOf(person, settings);
    if (rights.has(RULES[what])) return undefined;
    const why = `${who} may not ${RULES[what]}: ${what} needs another role than ${person.roles.join(', ')}`;
    return usageError(why, NOT_ALLOWED);
  } catch (error) {
    return error as Error;
  }
}
