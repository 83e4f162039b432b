/** Drills of runbooks, each in a process of its own beside the worker, over simulated systems and a server that skips time. */
import { cancellationSignal } from '@temporalio/activity';
import { z } from 'zod';
import { beating } from '../src/beating.ts';
import type { DrillReport, Scope, Settings } from '../src/contracts/index.ts';
import type { Drills } from '../src/contracts/ports.ts';
import { approverOf, drillOf, reportOf, runDrill } from '../src/drill.ts';
import { failure } from '../src/errors.ts';

export const env = z.object({ HOLDFAST_CONFIG: z.string().default('holdfast.config.ts') });

export const createActivities = ({ HOLDFAST_CONFIG: config }: z.output<typeof env>, settings: Settings) =>
  ({
    /**
     * Nothing real is touched. Heartbeats every second. @throws NotProved (permanent) where it cannot be run, with the reason, such
     * as a machine without the server that skips time; Unavailable (transient) where it took too long.
     */
    async drillRunbook({ type, runbook, ...scope }: Scope & { type: string; runbook: string }): Promise<DrillReport> {
      return await beating(async () => {
        try {
          const order = drillOf({ scope, type, runbook, config, person: approverOf(settings) });
          return reportOf(await runDrill(order, cancellationSignal()));
        } catch (error) {
          cancellationSignal().throwIfAborted();
          const { message, cause } = error instanceof Error ? error : { message: String(error), cause: undefined };
          const late = cause instanceof Error && 'timedOut' in cause && cause.timedOut === true;
          throw failure(
            late ? 'Unavailable' : 'NotProved',
            `the drill of ${runbook} could not be run: ${said(message)}`,
          );
        }
      });
    },
  }) satisfies Drills;

/** What the drill wrote, without the command that ran it. */
const said = (message: string): string => (message.split('\n').slice(1).join('\n') || message).slice(0, 600);
