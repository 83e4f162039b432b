/** A repository in `emulate`'s GitHub, in a process of its own, and commits made in it through its API. */
import { join } from 'node:path';
import type { components } from '@octokit/openapi-types';
import { freePort } from '../../src/embedded/ports.ts';
import { endProcess, startProcess } from '../../src/processes.ts';
import { until } from '../support/until.ts';

type Partly<T> = T extends object ? { [K in keyof T]?: Partly<T[K]> } : T;
/** Some fields of an answer, each of the type that GitHub publishes of it. */
export type Published<Name extends keyof components['schemas']> = Partly<components['schemas'][Name]>;

const REPOSITORY = '/repos/ada/shop';

/** The repository `ada/shop`, with one commit on `main`. Close it by `await using`. */
export async function emulatedGithub(stateDir: string) {
  const port = await freePort();
  const args = [join(__dirname, 'github-emulator.ts'), String(port)];
  await startProcess({ stateDir, name: 'github', command: process.execPath, args });
  const url = `http://127.0.0.1:${port}`;
  const call = async <T>(method: string, path: string, body?: object): Promise<T> => {
    const response = await fetch(`${url}${REPOSITORY}${path}`, {
      method,
      headers: { authorization: 'token tok', 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  };
  const at = async (branch: string): Promise<string> =>
    (await call<{ object: { sha: string } }>('GET', `/git/ref/heads/${branch}`)).object.sha;
  await until(() =>
    at('main').then(
      () => true,
      () => false,
    ),
  );
  return {
    url,
    call,
    at,
    tag: (name: string, sha: string) => call('POST', '/git/refs', { ref: `refs/tags/${name}`, sha }),
    /** Commit files on `main`, and return the commit's id. */
    async commit(message: string, files: Record<string, string> = {}, ...tags: string[]): Promise<string> {
      const parent = await at('main');
      const { commit } = await call<{ commit: { tree: { sha: string } } }>('GET', `/commits/${parent}`);
      const tree = await call<{ sha: string }>('POST', '/git/trees', {
        base_tree: commit.tree.sha,
        tree: Object.entries(files).map(([path, content]) => ({ path, mode: '100644', type: 'blob', content })),
      });
      const made = { message, tree: tree.sha, parents: [parent] };
      const { sha } = await call<{ sha: string }>('POST', '/git/commits', made);
      await call('PATCH', '/git/refs/heads/main', { sha });
      for (const name of tags) await this.tag(name, sha);
      return sha;
    },
    [Symbol.asyncDispose]: () => endProcess(stateDir, 'github'),
  };
}
