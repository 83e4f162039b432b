import { Client, Connection, isGrpcDeadlineError } from '@temporalio/client';
import { loadConfig, loadSettings, type Config } from '../config.ts';
import type { Environment, Person, Settings, Status } from '../contracts/index.ts';

const ANSWER_MS = 30_000;

/** An error of the user's, with its exit code: 2 wrong arguments, 4 not found, 5 not allowed. */
export const usageError = (message: string, exitCode = 2): Error => Object.assign(new Error(message), { exitCode });

/** @throws usage error when nobody of this name is configured: a typo must not look like a person. */
export function assertPerson({ people }: Settings, name: string): Person {
  const found = people.find((person) => person.name === name);
  if (found === undefined)
    throw usageError(`"${name}" is nobody; the configuration has: ${people.map((person) => person.name).join(', ')}`);
  return found;
}

/** The settings of an environment. @throws usage error that lists what there is. */
export function assertEnvironment(settings: Settings, service: string, environment: string): Environment {
  const found = assertService(settings, service).environments;
  const of = found[environment];
  if (of === undefined)
    throw usageError(`${service} has no environment "${environment}"; it has: ${Object.keys(found).join(', ')}`);
  return of;
}

/** @throws usage error that lists the services there are. */
export function assertService({ services }: Settings, service: string): Settings['services'][number] {
  const found = services.find(({ name }) => name === service);
  if (found === undefined)
    throw usageError(`there is no service "${service}"; there are: ${services.map(({ name }) => name).join(', ')}`);
  return found;
}

export interface Context {
  config: Config;
  settings: Settings;
  client: Client;
  close(): Promise<void>;
}

/** Connect to Temporal. @throws Error that says how to bring it up. */
export async function connect(): Promise<Context> {
  const config = loadConfig();
  const settings = await loadSettings(config);
  const connection = await Connection.connect({ ...config.temporal.connection, connectTimeout: '3 seconds' }).catch(
    () => {
      throw usageError(
        `Temporal at ${config.TEMPORAL_ADDRESS} cannot be reached: start the platform with "npm start", or set TEMPORAL_ADDRESS`,
        3,
      );
    },
  );
  return {
    config,
    settings,
    client: new Client({
      connection,
      namespace: config.TEMPORAL_NAMESPACE,
      dataConverter: config.temporal.dataConverter,
    }),
    close: () => connection.close(),
  };
}

/** The status of an incident, open or closed. */
export async function statusOf({ client }: Context, workflowId: string, runId?: string): Promise<Status> {
  return await client.connection.withDeadline(Date.now() + 10_000, () =>
    client.workflow.getHandle(workflowId, runId).query<Status>('status'),
  );
}

/** What a worker answers. @throws usage error (exit code 3) when none does within half a minute. */
export async function answered<T>({ connection }: Client, call: () => Promise<T>): Promise<T> {
  try {
    return await connection.withDeadline(Date.now() + ANSWER_MS, call);
  } catch (error) {
    const { cause } = error instanceof Error ? error : {};
    if (!isGrpcDeadlineError(error) && !isGrpcDeadlineError(cause)) throw error;
    throw usageError('no worker answered in time: start one with "npm run worker", then do this again', 3);
  }
}
