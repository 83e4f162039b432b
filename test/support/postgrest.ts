import { createHmac, randomBytes } from 'node:crypto';
import { serving } from '../activities/http-server.ts';

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const signature = (body: string, secret: string): string =>
  createHmac('sha256', secret).update(body).digest('base64url');

/** A key of Supabase's older kind, for those who know `secret`. */
export function jwtOf(role: string, secret: string): string {
  const body = `${encoded({ alg: 'HS256', typ: 'JWT' })}.${encoded({ role })}`;
  return `${body}.${signature(body, secret)}`;
}

/** The role that PostgREST takes a request for: nothing shown is `anon`, what `secret` has not signed nobody. */
function roleOf(authorization: string | undefined, secret: string): string | undefined {
  if (authorization === undefined) return 'anon';
  const [head = '', claims = '', signed = ''] = authorization.replace(/^Bearer /, '').split('.');
  if (signed !== signature(`${head}.${claims}`, secret)) return undefined;
  return (JSON.parse(Buffer.from(claims, 'base64url').toString()) as { role: string }).role;
}

/** Who may ask as PostgREST has it: whoever shows nothing sees that it is there, and only the service's role a row. */
export async function postgrest(secret = randomBytes(32).toString('hex')) {
  const server = await serving(({ method, url, headers }) => {
    const role = roleOf(headers.authorization, secret);
    const allowed = role === 'service_role' || (role === 'anon' && url.pathname === '/rest/v1/');
    if (!allowed) return { status: 401, body: { code: role === undefined ? 'PGRST301' : '42501' } };
    if (url.pathname === '/rest/v1/') return { body: { swagger: '2.0' } };
    return { body: method === 'GET' ? [] : true };
  });
  return { ...server, key: jwtOf('service_role', secret) };
}

/** Who may ask as a hosted project has it: the key goes into a header of its own, and a new one is no bearer. */
export const hostedProject = (key: string) =>
  serving(({ headers }) =>
    headers['apikey'] === key && headers.authorization === undefined ? { body: [] } : { status: 401 },
  );
