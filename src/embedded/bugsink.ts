import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { createHttp } from '../http.ts';
import { runCommand, writeWhole } from '../processes.ts';
import { loadSecrets } from './secrets.ts';
import { answers, startTool } from './start-tool.ts';
import { pythonEnvironment, silent, type Say } from './tools.ts';

const VERSION = '2.6.1';
const USER = 'holdfast';
const API = '/api/canonical/0';

/** Django settings; everything that varies comes by environment. Tasks run inside the one server process. */
const SETTINGS = `import os
from bugsink.settings.default import *  # noqa

SECRET_KEY = os.environ["BUGSINK_SECRET_KEY"]
DATA = os.environ["BUGSINK_DATA"]
DATABASES["default"]["NAME"] = os.path.join(DATA, "db.sqlite3")
DATABASES["snappea"]["NAME"] = os.path.join(DATA, "snappea.sqlite3")
TIME_ZONE = "UTC"
SESSION_COOKIE_SECURE = False
CSRF_COOKIE_SECURE = False
SNAPPEA = {"TASK_ALWAYS_EAGER": True, "NUM_WORKERS": 1, "PID_FILE": None, "STATS_RETENTION_MINUTES": 60 * 24,
           "WAKEUP_CALLS_DIR": os.path.join(DATA, "wakeup")}
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
BUGSINK = {
    "BASE_URL": os.environ["BUGSINK_URL"],
    "SITE_TITLE": "Bugsink of Holdfast",
    "PHONEHOME": False,
    "USER_REGISTRATION": "CB_NOBODY",
    "INGEST_STORE_BASE_DIR": os.path.join(DATA, "ingestion"),
    "ALERTS_WEBHOOK_DENY_NON_GLOBAL": False,
}
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
`;

/** Folder of the Python environment with Bugsink, made when missing. */
export const bugsinkEnvironment = (say: Say = silent): Promise<string> => pythonEnvironment('bugsink', VERSION, say);

const Named = z.object({ id: z.union([z.string(), z.number()]), name: z.string() });
const Page = z.object({ results: z.array(Named) });

/**
 * Start Bugsink with a team `core` and a project `shop`. A person signs in as `holdfast` with `bugsinkPassword` of
 * `secrets.json`.
 */
export async function startBugsink(of: {
  stateDir: string;
  port: number;
  say?: Say;
}): Promise<{ url: string; token: string; dsn: string }> {
  const { stateDir, port, say = silent } = of;
  const bin = join(await bugsinkEnvironment(say), 'bin');
  const home = resolve(stateDir, 'bugsink');
  const secrets = await loadSecrets(stateDir);
  const url = `http://127.0.0.1:${port}`;
  const env = {
    BUGSINK_SECRET_KEY: secrets.bugsinkSecretKey,
    BUGSINK_DATA: home,
    BUGSINK_URL: url,
    DJANGO_SETTINGS_MODULE: 'bugsink_conf',
    DJANGO_SUPERUSER_USERNAME: USER,
    DJANGO_SUPERUSER_EMAIL: `${USER}@localhost`,
    DJANGO_SUPERUSER_PASSWORD: secrets.bugsinkPassword,
    PYTHONPATH: home,
  };
  await mkdir(home, { recursive: true });
  await writeFile(join(home, 'bugsink_conf.py'), SETTINGS);
  const token = await prepare(
    home,
    (...args) => runCommand({ command: join(bin, 'bugsink-manage'), args, cwd: home, env }),
    say,
  );
  say('starting…');
  await startTool({
    stateDir,
    name: 'bugsink',
    command: join(bin, 'gunicorn'),
    args: ['--bind', `127.0.0.1:${port}`, '--workers', '1', '--no-control-socket', 'bugsink.wsgi'],
    cwd: home,
    env,
    ready: () => answers(`${url}/health/ready`),
  });
  return { url, token, dsn: await shopDsn(url, token) };
}

/** Migrate when the version is new, and make the first user and token once. Returns the token. */
async function prepare(
  home: string,
  manage: (...args: string[]) => Promise<{ stdout: string }>,
  say: Say,
): Promise<string> {
  const file = join(home, 'prepared.json');
  const Prepared = z.object({ version: z.string(), token: z.string() });
  const kept = await readFile(file, 'utf8').then(
    (text) => Prepared.parse(JSON.parse(text)),
    () => undefined,
  );
  if (kept?.version === VERSION) return kept.token;
  say('creating the database…');
  await manage('migrate', '-v0');
  await manage('migrate', '-v0', '--database=snappea');
  let token = kept?.token;
  if (token === undefined) {
    await manage('createsuperuser', '--noinput').catch((error: Error) => {
      if (!error.message.includes('already')) throw error;
    });
    token = (await manage('create_auth_token')).stdout.trim().split('\n').at(-1) ?? '';
  }
  await writeWhole(file, JSON.stringify({ version: VERSION, token }));
  return token;
}

/** The DSN of the project `shop`, which is made when it is missing. */
async function shopDsn(url: string, token: string): Promise<string> {
  const http = createHttp({ what: 'Bugsink', baseUrl: url, token });
  const named = async (path: string, name: string, body: object) =>
    (await http.get(path, Page)).results.find((each) => each.name === name) ??
    (await http.send('POST', path, Named, { name, ...body }));
  const team = await named(`${API}/teams/`, 'core', {});
  const project = await named(`${API}/projects/`, 'shop', { team: team.id });
  return (await http.get(`${API}/projects/${project.id}/`, z.object({ dsn: z.url() }))).dsn;
}
