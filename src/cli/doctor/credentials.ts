import { z } from 'zod';
import { request } from '../../http.ts';
import { keyHeaders } from '../../supabase-key.ts';
import { checked, failed, ok, warning, type Finding } from './finding.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** One credential of an outside system: how to ask what it may do, and what it must. */
interface Credential {
  system: string;
  /** The credential itself; it is checked where it is set. */
  variable: string;
  ask: (env: Env, secret: string) => { url: string; headers?: Record<string, string>; method?: string };
  /** What it may do; `undefined` where the system does not tell. */
  granted?: (answer: { headers: Headers; body: unknown }) => string[] | undefined;
  /** What it must; one of those between bars is enough. */
  needs?: string[];
  /** What it may have beside that without being too much. */
  harmless?: RegExp;
  /** Said where the system does not tell what a credential may do. */
  untold?: string;
}

const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });
const base = (url: string | undefined, otherwise = ''): string => (url ?? otherwise).replace(/\/+$/, '');
const scopesIn = (header: string | null): string[] | undefined => header?.split(/,\s*/).filter((scope) => scope !== '');
const SentryIndex = z.object({ auth: z.object({ scopes: z.array(z.string()) }) });

const CREDENTIALS: Credential[] = [
  {
    system: 'sentry',
    variable: 'SENTRY_AUTH_TOKEN',
    ask: ({ SENTRY_URL }, secret) => ({
      url: `${base(SENTRY_URL, 'https://sentry.io')}/api/0/`,
      headers: bearer(secret),
    }),
    granted: ({ body }) => SentryIndex.safeParse(body).data?.auth.scopes,
    needs: ['event:read', 'org:read'],
    harmless: /:read$/,
  },
  {
    system: 'bugsink',
    variable: 'BUGSINK_TOKEN',
    ask: ({ BUGSINK_URL }, secret) => ({
      url: `${base(BUGSINK_URL)}/api/canonical/0/projects/`,
      headers: bearer(secret),
    }),
    untold: 'Bugsink has one kind of token: it may do everything',
  },
  {
    system: 'github',
    variable: 'GITHUB_TOKEN',
    ask: ({ GITHUB_URL }, secret) => ({
      url: `${base(GITHUB_URL, 'https://api.github.com')}/rate_limit`,
      headers: bearer(secret),
    }),
    granted: ({ headers }) => scopesIn(headers.get('x-oauth-scopes')),
    needs: ['repo'],
    harmless: /^(workflow|read:.*|public_repo|repo:status|repo_deployment)$/,
    untold:
      'GitHub does not tell what a fine-grained token may do; give it actions, contents, deployments, commit statuses and pull requests: read and write',
  },
  {
    system: 'slack',
    variable: 'HOLDFAST_SLACK_TOKEN',
    ask: ({ SLACK_API_URL }, secret) => ({
      url: `${base(SLACK_API_URL, 'https://slack.com/api')}/auth.test`,
      headers: bearer(secret),
      method: 'POST',
    }),
    granted: ({ headers }) => scopesIn(headers.get('x-oauth-scopes')),
    needs: ['chat:write', 'im:write', 'im:history', 'channels:history|groups:history'],
  },
  {
    system: 'supabase',
    variable: 'SUPABASE_SECRET_KEY',
    ask: ({ SUPABASE_URL }, secret) => ({ url: `${base(SUPABASE_URL)}/rest/v1/`, headers: keyHeaders(secret) }),
    untold: 'a secret key reads and writes every row: no narrower one can look at the health of a project',
  },
  {
    system: 'record',
    variable: 'RECORD_SUPABASE_SECRET_KEY',
    ask: ({ RECORD_SUPABASE_URL }, secret) => ({
      url: `${base(RECORD_SUPABASE_URL)}/rest/v1/incidents?select=workflow_id&limit=1`,
      headers: keyHeaders(secret),
    }),
    untold: 'keep the record in a project of its own: a secret key reads and writes every row there',
  },
  {
    system: 'supabase management',
    variable: 'SUPABASE_ACCESS_TOKEN',
    ask: ({ SUPABASE_MANAGEMENT_URL }, secret) => ({
      url: `${base(SUPABASE_MANAGEMENT_URL, 'https://api.supabase.com')}/v1/projects`,
      headers: bearer(secret),
    }),
    untold:
      'a personal access token may do all that its owner may: let it be that of an account with this project only',
  },
  {
    system: 'alertmanager',
    variable: 'ALERTMANAGER_URL',
    ask: ({ ALERTMANAGER_TOKEN: token }, url) => ({
      url: `${base(url)}/api/v2/status`,
      ...(token !== undefined && { headers: bearer(token) }),
    }),
    untold: 'Alertmanager knows no rights: whoever reaches its API may silence alerts there, too',
  },
  {
    system: 'caddy',
    variable: 'CADDY_ADMIN_URL',
    ask: (_, url) => ({ url: `${base(url)}/config/`, headers: { origin: base(url) } }), // without one Caddy refuses a `fetch`
    untold: 'whoever reaches the admin address directs the traffic: keep it on loopback or on a socket',
  },
];

/** Each credential that is set: whether it is taken, what it lacks, and what it may do beyond need. */
export async function checkCredentials(env: Env): Promise<Finding[]> {
  const set = CREDENTIALS.filter(({ variable }) => env[variable] !== undefined);
  const found = await Promise.all(
    set.map((credential) =>
      checked(credential.system, `renew ${credential.variable}, or unset it`, () => checkOne(credential, env)),
    ),
  );
  return found.flat();
}

async function checkOne(of: Credential, env: Env): Promise<Finding[]> {
  const { system, variable, granted, needs = [], harmless = /^$/, untold } = of;
  const { url, ...init } = of.ask(env, env[variable] ?? '');
  const response = await request(url, { ...init, what: system });
  const text = await response.text();
  const body: unknown = /json/.test(response.headers.get('content-type') ?? '') ? JSON.parse(text) : undefined;
  const refused = z.object({ ok: z.literal(false), error: z.string() }).safeParse(body).data;
  if (refused !== undefined) return [failed(system, `refused: ${refused.error}`, `renew ${variable}`)];
  const rights = granted?.({ headers: response.headers, body });
  if (rights === undefined) return [ok(system, `${variable} is taken. ${untold ?? 'It was not told what it may do'}`)];
  const lacking = needs.filter((right) => !right.split('|').some((one) => rights.includes(one)));
  const needed = needs.flatMap((right) => right.split('|'));
  const beyond = rights.filter((right) => !needed.includes(right) && !harmless.test(right));
  const make = `make one with ${needs.join(', ').replaceAll('|', ' or ')}`;
  return [
    ...(lacking.length > 0
      ? [failed(system, `${variable} lacks ${lacking.join(', ').replaceAll('|', ' or ')}`, make)]
      : []),
    ...(beyond.length > 0
      ? [warning(system, `${variable} may do too much: ${beyond.join(', ')}`, `${make} only`)]
      : []),
    ...(lacking.length + beyond.length === 0
      ? [ok(system, `${variable} may do what it must: ${rights.join(', ')}`)]
      : []),
  ];
}
