/** Builds and tests a commit: by commands on this machine, or by a workflow of GitHub Actions, as the configuration says. */
import { z } from 'zod';
import { beating } from '../src/beating.ts';
import type { Scope, Settings } from '../src/contracts/index.ts';
import type { Pipeline } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';
import { githubOf, githubVariables } from '../src/github.ts';
import { runCommands } from './pipeline/commands.ts';
import { cancelWorkflow, runWorkflow } from './pipeline/workflow.ts';

/** The rest of the environment is read for its names, to withhold from the commands what is the control plane's. */
export const env = z.looseObject({
  HOLDFAST_STATE_DIR: z.string().default('.holdfast'),
  ...githubVariables,
});

type Asked = Scope & { commit: string; key: string };

export function createActivities(variables: z.output<typeof env>, settings: Settings) {
  const { HOLDFAST_STATE_DIR: stateDir } = variables;
  const orderOf = ({ service, environment, commit, key }: Asked) => {
    const of = settings.services.find(({ name }) => name === service)?.environments[environment];
    const pipeline = of?.deployment.pipeline;
    if (of?.releases === undefined || pipeline === undefined)
      throw failure('NotConfigured', `${service}/${environment} has no deployment.pipeline and releases configured`);
    const { timeout } = pipeline;
    return {
      pipeline,
      releases: of.releases,
      order: { stateDir, scope: { service, environment }, commit, key, timeout },
    };
  };
  return {
    /**
     * Idempotent on `key`: what has ended is told again, what was cut short is run anew. Heartbeats every second. Commands are run
     * to their end; a workflow is started, and each further call says how it stands. A cancelled one ends with everything that it
     * has started.
     * @throws NotConfigured, NotFound, Refused (permanent); RateLimited, Unavailable (transient).
     */
    async runPipeline(asked: Asked) {
      const { pipeline, releases, order } = orderOf(asked);
      const { commands = [], workflow } = pipeline;
      return await beating(async () => {
        if (workflow !== undefined) return await runWorkflow(githubOf(releases, variables), { ...order, workflow });
        return await runCommands({ ...order, repository: releases.repository, commands, inherited: variables });
      });
    },
    /** Idempotent. Commands end with their own activity. @throws as `runPipeline`. */
    async cancelPipeline(asked: Asked) {
      const { pipeline, releases, order } = orderOf(asked);
      const { workflow } = pipeline;
      if (workflow === undefined) return { changed: false, summary: 'nothing runs elsewhere' };
      return await cancelWorkflow(githubOf(releases, variables), { ...order, workflow });
    },
  } satisfies Pipeline;
}
