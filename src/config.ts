import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseEnv } from 'node:util';
import { z } from 'zod';
import { Settings } from './contracts/index.ts';

/** What every Holdfast process needs of the environment. A provider declares its own variables beside its code. */
const Config = z.object({
  HOLDFAST_STATE_DIR: z.string().default('.holdfast'),
  HOLDFAST_CONFIG: z.string().default('holdfast.config.ts'),
  HOLDFAST_GATEWAY_HOST: z.string().default('127.0.0.1'),
  HOLDFAST_GATEWAY_PORT: z.coerce.number().int().min(0).max(65535).default(4100),
  HOLDFAST_TASK_QUEUE: z.string().default('holdfast'),
  HOLDFAST_TEMPORAL_UI_URL: z.url().optional(),
  TEMPORAL_ADDRESS: z.string().default('127.0.0.1:7233'),
  TEMPORAL_NAMESPACE: z.string().default('default'),
  SENTRY_DSN: z.url().optional(),
});
export type Config = z.output<typeof Config> & {
  /** The whole environment, for the providers' own schemas. */
  env: Readonly<Record<string, string | undefined>>;
};

/** End a process of Holdfast's that cannot start: what is wrong is for a person to read, without a stack trace. */
export function cannotStart(error: unknown): never {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}

/**
 * Read the environment, over the file `platform.env` that the embedded platform writes into the state folder.
 * The only reader of `process.env`. @throws Error that names each wrong variable.
 */
export function loadConfig(processEnv: NodeJS.ProcessEnv = process.env): Config {
  const platformFile = join(processEnv['HOLDFAST_STATE_DIR'] || '.holdfast', 'platform.env');
  const platform = existsSync(platformFile) ? parseEnv(readFileSync(platformFile, 'utf8')) : {};
  const set = Object.entries({ ...platform, ...processEnv }).filter(([, value]) => value !== ''); // `NAME=` unsets
  const env = Object.fromEntries(set);
  const parsed = Config.safeParse(env);
  if (!parsed.success) throw new Error(`Cannot start, the environment is wrong:\n${z.prettifyError(parsed.error)}`);
  return { ...parsed.data, HOLDFAST_STATE_DIR: resolve(parsed.data.HOLDFAST_STATE_DIR), env };
}

type Env = Config['env'];
export type SettingsSource = z.input<typeof Settings> | ((env: Env) => z.input<typeof Settings>);

/** Type of `holdfast.config.ts`: the settings, or a function of the environment that returns them. */
export const defineConfig = (settings: SettingsSource): SettingsSource => settings;

/** Check settings. @throws Error with the path of each mistake. */
export function parseSettings(source: SettingsSource, env: Env, file = 'holdfast.config.ts'): Settings {
  const parsed = Settings.safeParse(typeof source === 'function' ? source(env) : source);
  if (!parsed.success) throw new Error(`${file} is wrong:\n${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

/** Load and check the file that `HOLDFAST_CONFIG` names. @throws Error that names the file and the remedy. */
export async function loadSettings(config: Config): Promise<Settings> {
  const file = resolve(config.HOLDFAST_CONFIG);
  if (!existsSync(file)) throw new Error(`${file} does not exist: write it, or set HOLDFAST_CONFIG to where it is`);
  const module = (await import(pathToFileURL(file).href)) as { default?: SettingsSource };
  if (module.default === undefined)
    throw new Error(`${file} has no default export: write "export default defineConfig({ … })"`);
  return parseSettings(module.default, config.env, file);
}
