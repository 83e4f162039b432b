/** Bundles that a real esbuild makes of real packages, in the checkouts of two releases. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { createActivities } from '../../activities/bundles.ts';
import { composition, OWN } from '../../activities/bundles/metafile.ts';
import { Settings } from '../../src/contracts/index.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { asActivity, scope } from './git-rig.ts';
import { settings } from './settings.ts';

let stateDir: string;
beforeEach(() => {
  stateDir = scratchFolder();
});
afterEach(() => removeScratch(stateDir));

const checkout = (commit: string) => join(stateDir, 'releases', 'shop', 'production', 'checkouts', commit);
const write = (file: string, text: string) => {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
};

/** Build `client.ts` with these packages beside it, as a release's own build does. */
async function release(commit: string, client: string, packages: Record<string, string> = {}): Promise<void> {
  const folder = checkout(commit);
  write(join(folder, 'client.ts'), client);
  for (const [path, text] of Object.entries(packages)) write(join(folder, path), text);
  const { metafile } = await build({
    absWorkingDir: folder,
    entryPoints: ['client.ts'],
    entryNames: '[name]-[hash]',
    bundle: true,
    minify: true,
    metafile: true,
    outdir: 'dist',
  });
  write(join(folder, 'dist/meta.json'), JSON.stringify(metafile));
}
const provider = (performance: object = { bundle: { folder: 'dist', metafile: 'dist/meta.json' } }) => {
  const environment = { ...settings.services[0]!.environments['production'], performance };
  const services = [{ name: 'shop', environments: { production: environment } }];
  return createActivities({ HOLDFAST_STATE_DIR: stateDir }, Settings.parse({ ...settings, services }));
};
const bundleChange = (running: string, previous?: string) =>
  asActivity(() => provider().bundleChange({ ...scope, running, previous }));

const data = (name: string, size: number) => `export const ${name} = ${JSON.stringify('x'.repeat(size))};`;
const small = { 'node_modules/small/index.js': data('small', 1000) };

it('compares the running release with the one before it, entry by entry and package by package', async () => {
  await release('c1', "import { small } from 'small'; console.log(small);", small);
  await release('c2', "import { small } from 'small'; import { large } from '@big/large'; console.log(small, large);", {
    'node_modules/small/index.js': data('small', 3000),
    'node_modules/@big/large/index.js': data('large', 200_000),
  });
  const change = await bundleChange('c2', 'c1');
  const [entry, ...others] = change.entries;
  expect(others).toEqual([]);
  expect(entry?.name).toBe('client.js');
  expect(entry!.now.rawBytes).toBeGreaterThan(203_000);
  expect(entry!.before!.rawBytes).toBeLessThan(1500);
  expect(change.packages.slice(0, 2)).toEqual([
    { name: '@big/large', rawBytes: expect.any(Number) },
    { name: 'small', rawBytes: expect.any(Number), beforeBytes: expect.any(Number) },
  ]);
  expect(change.packages[0]!.rawBytes).toBeGreaterThanOrEqual(200_000);
  expect(change.packages[1]!.rawBytes - change.packages[1]!.beforeBytes!).toBe(2000);
});

it('gives the sizes that a browser is sent: raw, gzip and brotli', async () => {
  await release('c1', 'console.log(document.title, "a".repeat(3));');
  const [entry] = (await bundleChange('c1')).entries;
  const [file] = Object.keys(
    (JSON.parse(readFileSync(join(checkout('c1'), 'dist/meta.json'), 'utf8')) as { outputs: object }).outputs,
  );
  const raw = readFileSync(join(checkout('c1'), file!));
  expect(entry!.now).toEqual({
    rawBytes: raw.length,
    gzipBytes: gzipSync(raw).length,
    brotliBytes: brotliCompressSync(raw).length,
  });
});

it('says all that it is made of: the largest packages, and the others together', async () => {
  const names = Array.from({ length: 30 }, (_, i) => `p${i}`);
  const packages = names.map((name, i) => [`node_modules/${name}/index.js`, data(name, 1000 + i)]);
  const client = names.map((name) => `import { ${name} } from '${name}';`).join('');
  await release(
    'c1',
    `${client} console.log(${names.join()});`,
    Object.fromEntries(packages) as Record<string, string>,
  );
  const { parts = [], packages: shown } = await bundleChange('c1');
  expect(shown).toHaveLength(20);
  expect(parts.map(({ name }) => name)).toEqual([...names.slice(6).toReversed(), '7 others']);
  const { outputs } = JSON.parse(readFileSync(join(checkout('c1'), 'dist/meta.json'), 'utf8')) as {
    outputs: Record<string, { inputs: Record<string, { bytesInOutput: number }> }>;
  };
  const inOutputs = Object.values(outputs).flatMap(({ inputs }) => Object.values(inputs));
  const bytes = (of: number[]): number => of.reduce((all, one) => all + one, 0);
  expect(bytes(parts.map(({ rawBytes }) => rawBytes))).toBe(bytes(inOutputs.map((one) => one.bytesInOutput)));
});

it('finds a package that is in it twice', async () => {
  await release('c1', "import { a } from 'a'; import { small } from 'small'; console.log(a, small);", {
    ...small,
    'node_modules/a/index.js': "export { small as a } from 'small';",
    'node_modules/a/node_modules/small/index.js': data('small', 900),
  });
  expect((await bundleChange('c1')).duplicated).toEqual([{ name: 'small', copies: 2 }]);
});

it('knows a package by the last folder of packages in its path, wherever it is installed', () => {
  const inputs = {
    'client.ts': { bytesInOutput: 10 },
    '../../modules/1f/node_modules/echarts/lib/a.js': { bytesInOutput: 20 },
    'node_modules/a/node_modules/@scope/b/index.js': { bytesInOutput: 30 },
    'node_modules/shaken/index.js': { bytesInOutput: 0 },
  };
  const { bytes } = composition({ outputs: { 'dist/client.js': { inputs } } });
  expect([...bytes]).toEqual([
    [OWN, 10],
    ['echarts', 20],
    ['@scope/b', 30],
  ]);
});

it('goes on without the release before where that was not built here, and says what is missing of the running one', async () => {
  await release('c1', 'console.log(1);');
  const change = await bundleChange('c1', 'c0');
  expect(change.entries[0]).not.toHaveProperty('before');
  await expect(bundleChange('c9')).rejects.toMatchObject({
    type: 'NotFound',
    message: expect.stringContaining('dist'),
  });
  write(join(checkout('c1'), 'dist/meta.json'), '{"outputs": 1}');
  await expect(bundleChange('c1')).rejects.toMatchObject({ type: 'UnexpectedResponse' });
  const unset = asActivity(() => provider({}).bundleChange({ ...scope, running: 'c1' }));
  await expect(unset).rejects.toMatchObject({ type: 'NotConfigured' });
});
