import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseEnv } from 'node:util';
import { z } from 'zod';
import { Settings } from './contracts/index.ts';
import { assertSomebodyOnCall } from './on-call.ts';
import { productionFaults } from './production.ts';
import { createRedaction, secretsOf } from './redaction.ts';
import { temporalOf, type Temporal } from './temporal.ts';

/** What every Holdfast process needs of the environment. A provider declares its own variables beside its code. */
const Config = z.object({
  HOLDFAST_STATE_DIR: z.string().default('.holdfast'),
  HOLDFAST_PRODUCTION: z.enum(['0', '1']).default('0'),
  HOLDFAST_SECRETS_DIR: z.string().optional(),
  HOLDFAST_CONFIG: z.string().default('holdfast.config.ts'),
  HOLDFAST_GATEWAY_HOST: z.string().default('127.0.0.1'),
  HOLDFAST_GATEWAY_PORT: z.coerce.number().int().min(0).max(65535).default(4100),
  /** Where people reach the gateway, where that is not its host and port: behind TLS. What the worker sends people links to it. */
  HOLDFAST_PUBLIC_URL: z.url().optional(),
  /** Whoever asks is the last that a reverse proxy in front has added to `X-Forwarded-For`; nothing else may reach the gateway then. */
  HOLDFAST_BEHIND_PROXY: z.enum(['0', '1']).default('0'),
  /** Requests to the API a minute, of one caller. */
  HOLDFAST_API_PER_MINUTE: z.coerce.number().int().min(1).default(300),
  HOLDFAST_TASK_QUEUE: z.string().default('holdfast'),
  HOLDFAST_VERSIONING: z.enum(['0', '1']).default('0'),
  HOLDFAST_TEMPORAL_UI_URL: z.url().optional(),
  /** How the gateway and the worker log; without it JSON in production, else text. */
  HOLDFAST_LOG: z.enum(['text', 'json']).optional(),
  /** Host and port where a worker's metrics are, for Prometheus; in production on loopback, unless their network is closed. */
  HOLDFAST_WORKER_METRICS: z
    .string()
    .regex(/^[\w.:[\]-]+:\d{1,5}$/, 'use host:port, such as 127.0.0.1:9464')
    .optional(),
  /** `1`: nobody but Prometheus reaches the metrics of workers in their network, which ask nobody who they are. */
  HOLDFAST_METRICS_NETWORK_CLOSED: z.enum(['0', '1']).default('0'),
  SENTRY_DSN: z.url().optional(),
});
export type Config = z.output<typeof Config> & {
  TEMPORAL_ADDRESS: string;
  TEMPORAL_NAMESPACE: string;
  temporal: Temporal;
  /** The whole environment, for the providers' own schemas. */
  env: Readonly<Record<string, string | undefined>>;
};

/** Secrets as files, the way Docker and Kubernetes mount them: a file that is named like a variable is the variable. */
const secretsIn = (folder: string | undefined): [string, string][] =>
  folder === undefined
    ? []
    : readdirSync(folder)
        .filter((name) => /^[A-Z][A-Z0-9_]*$/.test(name))
        .map((name) => [name, readFileSync(join(folder, name), 'utf8').trim()]);

/** Whoever names a Temporal of their own gets nothing of the embedded one's. */
const namesTemporal = (processEnv: NodeJS.ProcessEnv): boolean =>
  ['TEMPORAL_ADDRESS', 'TEMPORAL_PROFILE', 'TEMPORAL_CONFIG_FILE'].some((name) => Boolean(processEnv[name]));

/** The whole environment, over the secrets of `HOLDFAST_SECRETS_DIR`, over what the embedded platform says. `NAME=` unsets. */
function variablesOf(processEnv: NodeJS.ProcessEnv): Record<string, string> {
  const platformFile = join(processEnv['HOLDFAST_STATE_DIR'] || '.holdfast', 'platform.env');
  const embedded = processEnv['HOLDFAST_PRODUCTION'] !== '1' && existsSync(platformFile);
  const platform = embedded ? parseEnv(readFileSync(platformFile, 'utf8')) : {};
  const set = [
    ...Object.entries(platform).filter(([name]) => !name.startsWith('TEMPORAL_') || !namesTemporal(processEnv)),
    ...secretsIn(processEnv['HOLDFAST_SECRETS_DIR'] || undefined),
    ...Object.entries(processEnv),
  ].filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries([...new Map(set)].filter(([, value]) => value !== ''));
}

/** End a process of Holdfast's that cannot start: what is wrong is for a person to read, without a stack trace. */
export function cannotStart(error: unknown): never {
  let env: NodeJS.ProcessEnv = process.env;
  try {
    env = variablesOf(process.env);
  } catch {
    // what is wrong is that these cannot be read
  }
  const redact = createRedaction(secretsOf(env));
  console.error(redact(error instanceof Error ? error.message : String(error)));
  process.exit(1);
}

/**
 * Read the environment, over the secrets of `HOLDFAST_SECRETS_DIR`, over the file `platform.env` that the embedded platform
 * writes into the state folder; in production that one is left alone. The only reader of `process.env`.
 * @throws Error that names each wrong variable.
 */
export function readConfig(processEnv: NodeJS.ProcessEnv = process.env): Config {
  const env = variablesOf(processEnv);
  const parsed = Config.safeParse(env);
  if (!parsed.success) throw new Error(`Cannot start, the environment is wrong:\n${z.prettifyError(parsed.error)}`);
  const temporal = temporalOf(env);
  return {
    ...parsed.data,
    HOLDFAST_STATE_DIR: resolve(parsed.data.HOLDFAST_STATE_DIR),
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: temporal.namespace,
    temporal,
    env,
  };
}

/** @throws Error that names them, in production; elsewhere they are nobody's concern. */
export function assertNoFaults({ HOLDFAST_PRODUCTION }: Config, faults: string[]): void {
  if (HOLDFAST_PRODUCTION === '1' && faults.length > 0)
    throw new Error(`Cannot start in production:\n${faults.map((each) => `  ${each}`).join('\n')}`);
}

/** The configuration of a process that starts. @throws Error that names what is wrong, or what must not be so in production. */
export function loadConfig(processEnv: NodeJS.ProcessEnv = process.env): Config {
  const config = readConfig(processEnv);
  assertNoFaults(config, productionFaults(config));
  return config;
}

type Env = Config['env'];
export type SettingsSource = z.input<typeof Settings> | ((env: Env) => z.input<typeof Settings>);

/** Type of `holdfast.config.ts`: the settings, or a function of the environment that returns them. */
export const defineConfig = (settings: SettingsSource): SettingsSource => settings;

/** Check settings. @throws Error with the path of each mistake, and where nobody will be on call. */
export function parseSettings(
  source: SettingsSource,
  env: Env,
  file = 'holdfast.config.ts',
  now = Date.now(),
): Settings {
  const parsed = Settings.safeParse(typeof source === 'function' ? source(env) : source);
  if (!parsed.success) throw new Error(`${file} is wrong:\n${z.prettifyError(parsed.error)}`);
  try {
    assertSomebodyOnCall(parsed.data, now);
  } catch (error) {
    throw new Error(`${file} is wrong:\n${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  return parsed.data;
}

/** Load and check the file that `HOLDFAST_CONFIG` names. @throws Error that names the file and the remedy. */
export async function loadSettings(config: Config): Promise<Settings> {
  const file = resolve(config.HOLDFAST_CONFIG);
  if (!existsSync(file)) throw new Error(`${file} does not exist: write it, or set HOLDFAST_CONFIG to where it is`);
  const module = (await import(pathToFileURL(file).href)) as { default?: SettingsSource };
  if (module.default === undefined)
    throw new Error(`${file} has no default export: write "export default defineConfig({ … })"`);
  const settings = parseSettings(module.default, config.env, file);
  assertNamesStay(settings, config);
  return settings;
}

/** @throws Error where a name would be taken for a secret: it would be taken out of what runs are told, too. */
export function assertNamesStay(
  { people, ladder, services }: Settings,
  { env, temporal: { redact } }: Pick<Config, 'env' | 'temporal'>,
): void {
  const names = [
    ...people.map(({ name }) => name),
    ...ladder.map(({ level }) => level),
    ...services.flatMap(({ name, environments }) => [name, ...Object.keys(environments)]),
    ...services.flatMap(({ environments }) => Object.values(environments).flatMap(({ taskQueue }) => taskQueue ?? [])),
  ];
  const taken = names.find((name) => redact(name) !== name);
  if (taken === undefined) return;
  const hides = ([name, value]: [string, string | undefined]): boolean =>
    createRedaction(secretsOf({ [name]: value }))(taken) !== taken;
  const [variable] = Object.entries(env).find(hides) ?? [];
  throw new Error(
    `"${taken}" in the configuration ${variable === undefined ? 'looks like a secret' : `is of the secret in ${variable}`}, and would be taken out of what runs are told: change the ${variable === undefined ? 'name' : 'secret, or the name'}`,
  );
}
