/** Builds and tests a commit by the commands of the configuration, on this machine. */
import { heartbeat } from '@temporalio/activity';
import { z } from 'zod';
import type { Scope, Settings } from '../src/contracts/index.ts';
import type { Pipeline } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';
import { runCommands } from './pipeline/commands.ts';

const BEAT_MS = 1000;

/** The rest of the environment is read for its names, to withhold from the commands what is the control plane's. */
export const env = z.looseObject({ HOLDFAST_STATE_DIR: z.string().default('.holdfast') });

export function createActivities(variables: z.output<typeof env>, settings: Settings) {
  return {
    /**
     * Idempotent on `key`: what has ended is told again, what was cut short is run anew. Heartbeats every second. A cancelled one
     * ends with everything that it has started.
     * @throws NotConfigured, NotFound (permanent); Unavailable (transient) when the repository cannot be read.
     */
    async runPipeline({ service, environment, commit, key }: Scope & { commit: string; key: string }) {
      const of = settings.services.find(({ name }) => name === service)?.environments[environment];
      const pipeline = of?.deployment.pipeline;
      if (of?.releases === undefined || pipeline === undefined)
        throw failure('NotConfigured', `${service}/${environment} has no deployment.pipeline and releases configured`);
      const { commands, timeout } = pipeline;
      if (commands === undefined)
        throw failure('NotConfigured', `${service}/${environment} has no deployment.pipeline.commands`);
      const beating = setInterval(() => heartbeat(), BEAT_MS);
      try {
        return await runCommands({
          stateDir: variables.HOLDFAST_STATE_DIR,
          scope: { service, environment },
          repository: of.releases.repository,
          commit,
          key,
          commands,
          timeout,
          inherited: variables,
        });
      } finally {
        clearInterval(beating);
      }
    },
  } satisfies Pipeline;
}
