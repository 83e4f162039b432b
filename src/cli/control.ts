/** Commands that hold changes up, and let them go on: `kill-switch`, `freeze`, `unfreeze`. */
import type { Command } from 'commander';
import { z } from 'zod';
import { loadConfig } from '../config.ts';
import type { Freeze } from '../contracts/index.ts';
import { setFreeze, setKillSwitch } from '../operations/control.ts';
import { out, withContext } from './command.ts';
import { assertEnvironment, assertService, usageError } from './context.ts';
import { noting } from './noting.ts';
import { callAsPerson } from './remote.ts';

const AS = 'with the key of this machine; without it as who has signed in';

interface Options {
  as?: string;
  reason?: string;
  until?: string;
  json?: boolean;
}

export function controlCommands(program: Command): void {
  program
    .command('kill-switch <state> <service>')
    .description('on: forbid every change by Holdfast to the service; off: allow them again')
    .option('--as <person>', AS)
    .option('--reason <text>', 'why', '')
    .option('--json')
    .action(async (state: string, service: string, { as: by, reason = '', json }: Options) => {
      if (state !== 'on' && state !== 'off') throw usageError('say on or off');
      const on = state === 'on';
      if (by === undefined) await order(service, 'kill-switch', { on, reason });
      else
        await withContext(async (context) => {
          assertService(context.settings, service);
          await noting(context.config, { who: by, what: `kill switch ${state}`, on: service, detail: reason }, () =>
            setKillSwitch(context, service, { on, by, reason }),
          );
        })();
      out(json, { service, on }, `kill switch of ${service}: ${state}`);
    });
  for (const command of ['freeze', 'unfreeze'] as const) {
    const holding = program
      .command(`${command} <service> <environment>`)
      .description(command === 'freeze' ? 'hold deployments; rollbacks are never held' : 'let deployments go on')
      .option('--as <person>', AS)
      .option('--reason <text>', 'why')
      .option('--json')
      .action(async (service: string, environment: string, { json, ...options }: Options) => {
        const freeze = command === 'freeze' ? freezeOf(options) : undefined;
        const { as: by, reason } = options;
        if (by === undefined) await order(service, command, { environment, ...freeze });
        else
          await withContext(async (context) => {
            assertEnvironment(context.settings, service, environment);
            await noting(
              context.config,
              { who: by, what: command, on: `${service}.${environment}`, detail: reason },
              () => setFreeze(context, { service, environment }, freeze && { by, ...freeze }),
            );
          })();
        const stands = freeze === undefined ? 'not frozen' : `frozen until ${freeze.until ?? 'unfreeze'}`;
        out(json, { service, environment, freeze: freeze ?? null }, `${service} ${environment}: ${stands}`);
      });
    if (command === 'freeze') holding.option('--until <time>', 'ISO 8601; without it until unfreeze');
  }
}

/** By the API of the gateway, as whoever has signed in. */
const order = (service: string, what: string, body: object): Promise<unknown> =>
  callAsPerson(loadConfig(), z.unknown(), 'POST', `/services/${encodeURIComponent(service)}/${what}`, body);

function freezeOf({ reason, until }: Options): Omit<Freeze, 'by'> {
  if (reason === undefined) throw usageError('say why: --reason "<text>"');
  const ends = until === undefined ? undefined : new Date(until);
  if (ends !== undefined && !(ends.getTime() > Date.now()))
    throw usageError('--until must be a time that is to come, such as 2026-12-24T12:00:00Z');
  return { reason, ...(ends && { until: ends.toISOString() }) };
}
