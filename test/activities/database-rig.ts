import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { Client } from 'pg';
import { digestOf } from '../../src/runbook/decisions.ts';
import { indexPlan } from '../../activities/postgres/indexes.ts';
import { Settings, type Action, type Approval, type CreateIndex, type Effect } from '../../src/contracts/index.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { startAppPostgres } from '../../src/embedded/app-database.ts';
import { startPgBouncer } from '../../src/embedded/pgbouncer.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';

export const scope = { service: 'shop', environment: 'production' };

export const settings = Settings.parse({
  people: [{ name: 'responder', roles: ['approver'] }],
  ladder: [{ level: 'team', people: ['responder'], wait: '5 minutes' }],
  approval: { low: { roles: ['approver'] }, medium: { roles: ['approver'] }, high: { roles: ['approver'] } },
  services: [
    {
      name: 'shop',
      environments: {
        production: {
          url: 'http://127.0.0.1:1',
          database: { longSeconds: 0.3, ownerRole: 'holdfast_owner', slowMs: 5, pool: 'app' },
        },
      },
    },
  ],
});

let number = 0;
/** An approval of an action, as the kit makes it. */
export function approvalOf<A extends Action>(action: A, fence = 1): Approval<A> {
  number += 1;
  const id = `incident.shop.database-connection-issues/run#${number}`;
  const expiresAt = '2100-01-01T00:00:00.000Z';
  const proposal = { id, summary: 's', why: [], undo: 'u', risk: 'medium', action, expiresAt } as const;
  return {
    id,
    proposal: { ...proposal, why: [], digest: digestOf(id, action, expiresAt) },
    by: ['responder'],
    via: 'cli',
    at: '2026-11-24T08:00:00.000Z',
    fence,
  };
}

/** The order to make an index on one column of a table of `public`. */
export const indexAction = (table: string, column: string): CreateIndex => ({
  kind: 'create-index',
  ...scope,
  ...indexPlan('public', table, [column]),
});

/** Run an activity as a worker would; `onBeat` is told of its heartbeats. */
export const asActivity = (act: () => Promise<Effect>, onBeat = (): void => undefined): Promise<Effect> => {
  const environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
  return environment.on('heartbeat', onBeat).run(act) as Promise<Effect>;
};

/** A Postgres of its own, with Holdfast's role on it, and a PgBouncer before it with a pool of three where it is installed. */
export async function startDatabaseRig() {
  const stateDir = scratchFolder();
  const port = await freePort();
  const { url, holdfastUrl, superuserUrl } = await startAppPostgres({ stateDir, port });
  const admin = await connected(superuserUrl);
  const clients: Client[] = [admin];
  return {
    stateDir,
    admin,
    ownerUrl: url,
    superuserUrl,
    url: holdfastUrl,
    /** A client of the application, or of whom the connection string says. */
    async client(connectionString: string, application = 'shop'): Promise<Client> {
      const client = await connected(connectionString, application);
      clients.push(client);
      return client;
    },
    /** PgBouncer in front of it: for the application, and its admin console. */
    startPgBouncer: async () => startPgBouncer({ stateDir, port: await freePort(), databaseUrl: url, poolSize: 3 }),
    async [Symbol.asyncDispose]() {
      await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
      await removeScratch(stateDir);
    },
  };
}
export type DatabaseRig = Awaited<ReturnType<typeof startDatabaseRig>>;

async function connected(connectionString: string, application_name = 'rig'): Promise<Client> {
  const client = new Client({ connectionString, application_name, connectionTimeoutMillis: 3000 });
  client.on('error', () => undefined); // some of them are ended on purpose
  await client.connect();
  return client;
}
