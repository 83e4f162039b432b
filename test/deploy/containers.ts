import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { compose, ROOT } from './compose.ts';

/** What the containers of docker-compose.yml are given, for processes of this machine; the secrets are made in `made`. */
export function containersIn(folder: string) {
  const [made, state] = [join(folder, 'made'), join(folder, 'state')];
  execFileSync(process.execPath, ['scripts/make-secrets.mjs', made], { cwd: ROOT });
  mkdirSync(state);
  return {
    made,
    state,
    command: (name: string): string[] => compose.services[name]?.command ?? [],
    /** The container's variables, its paths being ours, and its secrets in a folder of its own. */
    environmentOf: (name: string, change: Record<string, string>): Record<string, string> => {
      const { environment = {}, secrets = [] } = compose.services[name] ?? {};
      const mounted = join(folder, `secrets-${name}`);
      mkdirSync(mounted, { recursive: true });
      for (const secret of secrets.filter((one) => !readdirSync(mounted).includes(one)))
        symlinkSync(join(made, secret), join(mounted, secret));
      return {
        PATH: process.env['PATH'] ?? '',
        NODE_ENV: 'production',
        HOLDFAST_PRODUCTION: '1',
        HOLDFAST_STATE_DIR: state,
        HOLDFAST_SECRETS_DIR: mounted,
        ...Object.fromEntries(
          Object.entries(environment).map(([variable, value]) => [variable, value.replace('/run/secrets', mounted)]),
        ),
        ...change,
      };
    },
  };
}
