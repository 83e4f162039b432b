import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { openEndpoints } from '../../src/production.ts';
import { compose, composed, ROOT, textOf, type Service } from './compose.ts';

const services = Object.entries(compose.services);
const built = services.flatMap(([, { build, ...service }]) => (build === undefined ? [] : [{ ...service, build }]));
const contexts = [...new Set(built.map(({ build }) => build.context))];
const namesOf = (wrong: (service: Service) => boolean): string[] =>
  services.filter(([, service]) => wrong(service)).map(([name]) => name);

it('runs each container as nobody in particular, over a file system that it cannot write, with no capability', () => {
  expect(namesOf(({ user }) => user === undefined || /^(0|root)(:|$)/.test(user))).toEqual([]);
  expect(namesOf(({ read_only }) => read_only !== true)).toEqual([]);
  expect(namesOf(({ cap_drop }) => cap_drop?.includes('ALL') !== true)).toEqual([]);
  expect(namesOf(({ security_opt }) => security_opt?.includes('no-new-privileges:true') !== true)).toEqual([]);
  expect(namesOf(({ mem_limit, pids_limit }) => mem_limit === undefined || pids_limit === undefined)).toEqual([]);
});

it('pins each image to an exact version', () => {
  expect(namesOf(({ image, build }) => build === undefined && !/:v?\d+\.\d+[\w.-]*$/.test(image))).toEqual([]);
  for (const context of contexts) {
    const stages = [...textOf(join(context, 'Dockerfile')).matchAll(/^FROM (\S+)(?: AS (\S+))?/gm)];
    const named = stages.map(([, , name]) => name);
    expect(stages.filter(([, from]) => !named.includes(from) && !/:\d+\.\d+\.\d+-/.test(from ?? ''))).toEqual([]);
  }
});

it('publishes the gateways by what stands before them, and the Temporal UI, on loopback, and nothing else', () => {
  expect(services.flatMap(([name, { ports }]) => (ports ?? []).map((port) => `${name} ${port}`))).toEqual([
    'front 127.0.0.1:4100:4100',
    'temporal-ui 127.0.0.1:8233:8080',
  ]);
  expect(compose.networks['internal']).toEqual({ internal: true });
});

it('has the metrics of workers in networks that are its own, and says so', () => {
  const measured = services.filter(([, { environment = {} }]) => environment['HOLDFAST_WORKER_METRICS'] !== undefined);
  expect(measured.map(([name]) => name)).toEqual(['worker-1', 'worker-2', 'worker-previous', 'shop-runner']);
  for (const [name, { environment, ports }] of measured)
    expect([name, environment?.['HOLDFAST_METRICS_NETWORK_CLOSED'], ports]).toEqual([name, '1', undefined]);
});

it('asks each container how it is, but for those that end', () => {
  const ends = services.filter(([name]) =>
    services.some(([, { depends_on }]) => depends_on?.[name]?.condition === 'service_completed_successfully'),
  );
  const unasked = namesOf(({ healthcheck }) => healthcheck?.test === undefined);
  expect(unasked.sort()).toEqual([...ends.map(([name]) => name), 'record-rest', 'shop-rest'].sort());
  const waitedFor = services.flatMap(([, { depends_on }]) =>
    Object.entries(depends_on ?? {}).flatMap(([name, { condition }]) =>
      condition === 'service_healthy' ? [name] : [],
    ),
  );
  expect(waitedFor.filter((name) => unasked.includes(name))).toEqual([]);
});

it('hands secrets over as files that the script makes, and none in the environment', () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-secrets-'));
  execFileSync(process.execPath, ['scripts/make-secrets.mjs', folder], { cwd: ROOT });
  const made = readdirSync(folder);
  rmSync(folder, { recursive: true });
  const asked = services.flatMap(([, { secrets }]) => secrets ?? []);
  expect(asked.filter((name) => compose.secrets[name]?.file !== `./deploy/secrets/${name}`)).toEqual([]);
  expect(asked.filter((name) => !made.includes(name))).toEqual([]);
  expect(Object.keys(compose.secrets).filter((name) => !asked.includes(name))).toEqual([]);
  const variables = services.flatMap(([, { environment }]) => Object.entries(environment ?? {}));
  const secret = /PASSWORD|PWD|SECRET|TOKEN|PRIVATE|_KEYS?$/;
  expect(variables.filter(([name, value]) => secret.test(name) && !value.startsWith('/run/secrets/'))).toEqual([]);
  expect(textOf('.gitignore')).toContain('deploy/secrets/');
});

it('gives the key that signs decisions to the gateways alone', () => {
  expect(namesOf(({ secrets }) => secrets?.includes('HOLDFAST_DECISION_PRIVATE_KEY') === true)).toEqual([
    'gateway-1',
    'gateway-2',
  ]);
});

it('brings the schema of the record up to date before anything reads it, as its owner, which nothing else is', () => {
  expect(namesOf(({ secrets }) => secrets?.includes('RECORD_DB_URL') === true)).toEqual(['record-schema']);
  const waiting = namesOf(({ depends_on }) => depends_on?.['record-schema'] !== undefined);
  expect(waiting).toEqual(['doctor', 'record-rest']);
  for (const name of waiting)
    expect(compose.services[name]?.depends_on?.['record-schema']?.condition).toBe('service_completed_successfully');
});

it("lets people sign in at the gateway by the record's accounts, and the Temporal UI decode with their session", () => {
  const wired = (given: Record<string, string>) => {
    const {
      'gateway-1': gateway,
      'gateway-2': other,
      'worker-1': worker,
      'temporal-ui': ui,
    } = composed(given).services;
    expect(other).toEqual(gateway);
    expect(worker?.environment?.['HOLDFAST_PUBLIC_URL']).toBe(gateway?.environment?.['HOLDFAST_PUBLIC_URL']); // pages link there
    const { HOLDFAST_PUBLIC_URL = '', HOLDFAST_TEMPORAL_UI_URL = '', ...rest } = gateway?.environment ?? {};
    expect(rest['HOLDFAST_AUTH_URL']).toBe(rest['RECORD_SUPABASE_URL']);
    expect(gateway?.secrets).toContain('HOLDFAST_AUTH_KEY');
    expect(openEndpoints({ HOLDFAST_GATEWAY_HOST: '0.0.0.0', HOLDFAST_PUBLIC_URL, env: rest })).toEqual([
      expect.stringContaining('/metrics'), // its token is a secret
    ]);
    expect(ui?.environment).toMatchObject({
      TEMPORAL_CODEC_ENDPOINT: `${HOLDFAST_PUBLIC_URL}/codec`,
      TEMPORAL_CODEC_INCLUDE_CREDENTIALS: 'true',
    });
    return [HOLDFAST_PUBLIC_URL, HOLDFAST_TEMPORAL_UI_URL];
  };
  expect(wired({})).toEqual(['http://127.0.0.1:4100', 'http://127.0.0.1:8233']);
  expect(wired({ HOLDFAST_GATEWAY_PORT: '4101' })[0]).toBe('http://127.0.0.1:4101');
  const outside = ['https://holdfast.example.com', 'https://temporal.example.com'] as const;
  expect(wired({ HOLDFAST_PUBLIC_URL: outside[0], HOLDFAST_TEMPORAL_UI_URL: outside[1] })).toEqual(outside);
});

it('keeps a worker of the version before for what is open on it, by a profile, and builds it never', () => {
  const given = { HOLDFAST_VERSION: '0.2.0', HOLDFAST_PREVIOUS_VERSION: '0.1.0' };
  const { 'worker-1': worker, 'worker-2': other, 'worker-previous': previous } = composed(given).services;
  expect([worker?.image, other?.image]).toEqual(['holdfast:0.2.0', 'holdfast:0.2.0']);
  const { build, ...same } = worker ?? {};
  expect(build).toEqual({ context: '.', target: 'holdfast' });
  expect(previous).toEqual({ ...same, image: 'holdfast:0.1.0', profiles: ['previous'], pull_policy: 'never' });
});

it('lets the doctor who runs before the workers miss none of them', () => {
  for (const name of ['worker-1', 'worker-2', 'worker-previous'])
    expect(compose.services[name]?.depends_on?.['doctor']?.condition).toBe('service_completed_successfully');
  expect(compose.services['doctor']?.command).toContain('--before-workers');
});

it('takes a hosted project in place of the record, which is a profile that nothing else insists on', () => {
  const inProfile = namesOf(({ profiles }) => profiles?.includes('record') === true);
  expect(inProfile.sort()).toEqual(['pgbouncer', 'record', 'record-auth', 'record-rest']);
  const insisting = services.flatMap(([name, { depends_on }]) =>
    Object.entries(depends_on ?? {}).flatMap(([on, { required = true }]) => (required ? [{ name, on }] : [])),
  );
  expect(insisting.filter(({ name, on }) => inProfile.includes(on) && !inProfile.includes(name))).toEqual([]);
  const urls = (given: Record<string, string>) =>
    ['gateway-1', 'worker-1', 'doctor'].map(
      (name) => composed(given).services[name]?.environment?.['RECORD_SUPABASE_URL'],
    );
  expect(new Set(urls({}))).toEqual(new Set(['http://record:8000']));
  const hosted = 'https://project.supabase.co';
  expect(new Set(urls({ RECORD_SUPABASE_URL: hosted }))).toEqual(new Set([hosted]));
});

it('starts the sample shop by its profile alone, in a network of its own', () => {
  const inProfile = ([, { profiles }]: (typeof services)[number]): boolean => profiles?.includes('shop') === true;
  const names = services.filter(inProfile).map(([name]) => name);
  expect(names).toEqual(Object.keys(compose.services).filter((name) => name.startsWith('shop')));
  const needing = services
    .filter((one) => !inProfile(one))
    .flatMap(([, { depends_on }]) => Object.keys(depends_on ?? {}));
  expect(needing.filter((name) => names.includes(name))).toEqual([]);
  expect(namesOf(({ networks }) => networks?.includes('shop') === true).sort()).toEqual(
    [...names, 'prometheus'].sort(),
  );
  expect(compose.networks['shop']).toEqual({ internal: true });
  expect(namesOf(({ secrets }) => secrets?.some((name) => name.startsWith('shop')) === true).sort()).toEqual(
    names.filter((name) => compose.services[name]?.secrets?.some((secret) => secret.startsWith('shop'))).sort(),
  );
});

it('gives what reaches into the shop to its runner alone, which neither decides nor pages', () => {
  const holding = (secret: string) => namesOf(({ secrets }) => secrets?.includes(secret) === true);
  for (const secret of ['SUPABASE_DB_URL', 'SUPABASE_SECRET_KEY', 'PGBOUNCER_ADMIN_URL'])
    expect(holding(secret)).toEqual(['shop-runner']);
  for (const secret of ['HOLDFAST_CODE_SECRET', 'HOLDFAST_WEBHOOK_SECRET', 'RECORD_SUPABASE_SECRET_KEY'])
    expect(holding(secret)).not.toContain('shop-runner');
});

it('names services, volumes and files that there are', () => {
  const depended = services.flatMap(([, { depends_on }]) => Object.keys(depends_on ?? {}));
  expect(depended.filter((name) => compose.services[name] === undefined)).toEqual([]);
  const sources = services.flatMap(([, { volumes }]) => (volumes ?? []).map((volume) => volume.split(':')[0] ?? ''));
  const bound = sources.filter((source) => source.startsWith('./'));
  expect(bound.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  const named = sources.filter((source) => /^\w/.test(source));
  expect(named.filter((name) => !(name in compose.volumes))).toEqual([]);
  const programs = built.map(({ build, command }) =>
    join(build.context, command?.find((word) => !word.startsWith('--')) ?? ''),
  );
  expect(programs.filter((program) => !existsSync(join(ROOT, program)))).toEqual([]);
});

it('has a pg_dump in its image that reads whichever Postgres it runs', () => {
  const servers = services.flatMap(([, { image }]) => /^postgres:(\d+)\./.exec(image)?.[1] ?? []);
  const [, client] = /\bpostgresql-client-(\d+)\b/.exec(textOf('Dockerfile')) ?? [];
  expect(servers).toHaveLength(2);
  expect(servers.filter((server) => !(Number(client) >= Number(server)))).toEqual([]);
});

it.each(contexts)(
  'builds %s into an image without tools for development, which runs as another user than root',
  (context) => {
    const dockerfile = textOf(join(context, 'Dockerfile'));
    expect(dockerfile).toContain('npm ci --omit=dev --ignore-scripts');
    const user = built.find(({ build }) => build.context === context)?.user;
    expect(/^USER (\S+)/m.exec(dockerfile)?.[1]).toBe(user);
    expect(dockerfile).not.toMatch(/^ADD |:latest|curl .*\|\s*(ba)?sh/m);
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(
      ([, files]) => files?.split(' ') ?? [],
    );
    const [first, ...rest] = textOf(join(context, '.dockerignore')).split('\n');
    const admitted = [...rest.map((line) => line.replace(/^!/, '')), '.'];
    expect(first).toBe('*');
    expect(copied.map((file) => file.replace(/\/$/, '')).filter((file) => !admitted.includes(file))).toEqual([]);
  },
);
