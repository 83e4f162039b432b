/** Builds and tests a commit: by commands on this machine, or by a workflow of GitHub Actions, as the configuration says. */
import { heartbeat } from '@temporalio/activity';
import { z } from 'zod';
import type { Scope, Settings } from '../src/contracts/index.ts';
import type { Pipeline } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';
import { runCommands } from './pipeline/commands.ts';
import { createGithub, type Github } from './pipeline/github.ts';
import { runWorkflow } from './pipeline/workflow.ts';

const BEAT_MS = 1000;
/** `https://github.com/<owner>/<name>` or `git@github.com:<owner>/<name>`, also with `.git`. */
const GITHUB = /^(?:https:\/\/|ssh:\/\/|git@).*[/:]([\w.-]+)\/([\w.-]+?)(?:\.git)?\/?$/;

/** The rest of the environment is read for its names, to withhold from the commands what is the control plane's. */
export const env = z.looseObject({
  HOLDFAST_STATE_DIR: z.string().default('.holdfast'),
  /** Of GitHub, with the right to read and write actions and to read contents. */
  GITHUB_TOKEN: z.string().min(1).optional(),
  GITHUB_URL: z.url().default('https://api.github.com'),
});

export function createActivities(variables: z.output<typeof env>, settings: Settings) {
  const { HOLDFAST_STATE_DIR: stateDir, GITHUB_TOKEN: token, GITHUB_URL: url } = variables;
  const githubOf = (repository: string): Github => {
    const [, owner, name] = GITHUB.exec(repository) ?? [];
    if (token === undefined) throw failure('NotConfigured', 'a workflow needs GITHUB_TOKEN');
    if (owner === undefined || name === undefined)
      throw failure('NotConfigured', 'a workflow needs releases.repository to be the URL of a repository of GitHub');
    return createGithub({ url, token, owner, name });
  };

  return {
    /**
     * Idempotent on `key`: what has ended is told again, what was cut short is run anew. Heartbeats every second. A cancelled one
     * ends with everything that it has started.
     * @throws NotConfigured, NotFound, Refused (permanent); RateLimited, Unavailable (transient).
     */
    async runPipeline({ service, environment, commit, key }: Scope & { commit: string; key: string }) {
      const of = settings.services.find(({ name }) => name === service)?.environments[environment];
      const pipeline = of?.deployment.pipeline;
      if (of?.releases === undefined || pipeline === undefined)
        throw failure('NotConfigured', `${service}/${environment} has no deployment.pipeline and releases configured`);
      const { commands, workflow, timeout } = pipeline;
      const order = { stateDir, scope: { service, environment }, commit, key, timeout };
      const { repository } = of.releases;
      const beating = setInterval(() => heartbeat(), BEAT_MS);
      try {
        if (workflow !== undefined) return await runWorkflow(githubOf(repository), { ...order, workflow });
        return await runCommands({ ...order, repository, commands: commands ?? [], inherited: variables });
      } finally {
        clearInterval(beating);
      }
    },
  } satisfies Pipeline;
}
