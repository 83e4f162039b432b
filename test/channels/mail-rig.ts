import { join } from 'node:path';
import { z } from 'zod';
import { freePort } from '../../src/embedded/ports.ts';
import { endProcess, startProcess } from '../../src/processes.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { until } from '../support/until.ts';

const MailAddress = z.object({ address: z.string() });
const Received = z.object({
  subject: z.string(),
  text: z.string(),
  html: z.string(),
  from: z.array(MailAddress),
  to: z.array(MailAddress),
  headers: z.looseObject({ 'message-id': z.string(), references: z.string() }),
  envelope: z.object({ to: z.array(MailAddress) }),
});
export type Received = z.output<typeof Received>;

/** A real mail server (`maildev`) that takes mail of one account, and what came to it, oldest first. */
export async function startMail(password = 'secret') {
  const stateDir = scratchFolder();
  const [port, webPort] = [await freePort(), await freePort()];
  const account = [
    '--incoming-user',
    'holdfast',
    '--incoming-pass',
    password,
    '--mail-directory',
    join(stateDir, 'mails'),
  ];
  const addresses = ['--ip', '127.0.0.1', '--web-ip', '127.0.0.1', '--smtp', String(port), '--web', String(webPort)];
  const command = join(__dirname, '../../node_modules/.bin/maildev');
  await startProcess({ stateDir, name: 'mail', command, args: [...addresses, ...account] });
  const api = `http://127.0.0.1:${webPort}/api/email`;
  await until(() =>
    fetch(api).then(
      ({ ok }) => ok,
      () => false,
    ),
  );
  return {
    url: `smtp://holdfast:${encodeURIComponent(password)}@127.0.0.1:${port}`,
    wrongUrl: `smtp://holdfast:wrong@127.0.0.1:${port}`,
    async received(): Promise<Received[]> {
      return z.array(Received).parse(await (await fetch(api)).json());
    },
    clear: () => fetch(`${api}/all`, { method: 'DELETE' }),
    async [Symbol.asyncDispose]() {
      await endProcess(stateDir, 'mail');
      await removeScratch(stateDir);
    },
  };
}
export type MailRig = Awaited<ReturnType<typeof startMail>>;
