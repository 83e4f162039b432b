import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './compose.ts';

interface Locked {
  license?: string;
  dev?: boolean;
  os?: string[];
}
const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
  packages: Record<string, Locked>;
};
const PERMISSIVE =
  /^(MIT|MIT-0|ISC|0BSD|BSD-2-Clause|BSD-3-Clause|Apache-2\.0|BlueOak-1\.0\.0|Unlicense|CC0-1\.0|CC-BY-4\.0|MPL-2\.0)$/;
/** Any purpose but one: a product that competes with Sentry's own. */
const SOURCE_AVAILABLE = ['node_modules/@sentry/api', 'node_modules/sentry'];

function licenceOf(folder: string, { license }: Locked): string | undefined {
  if (license !== undefined) return license;
  const read = (file: string): string => readFileSync(join(ROOT, folder, file), 'utf8');
  const { license: stated } = JSON.parse(read('package.json')) as { license?: string };
  if (stated !== undefined) return stated;
  const [text] = ['LICENSE', 'LICENSE.md'].filter((file) => existsSync(join(ROOT, folder, file))).map(read);
  return text?.startsWith('This is free and unencumbered software released into the public domain') === true
    ? 'Unlicense'
    : undefined;
}
/** Made for another operating system or processor; the one for this machine names the licence of all. */
const isElsewhere = (folder: string, { os }: Locked): boolean => os !== undefined && !existsSync(join(ROOT, folder));
const mayBeUsed = (licence: string): boolean => {
  const terms = licence.replaceAll(/[()]/g, '').split(' AND ');
  return terms.every((term) => term.split(' OR ').some((one) => PERMISSIVE.test(one)));
};

it('ships no package whose licence forbids use', () => {
  const shipped = Object.entries(packages).filter(
    ([folder, locked]) => folder !== '' && locked.dev !== true && !isElsewhere(folder, locked),
  );
  const doubtful = shipped.flatMap(([folder, locked]) => {
    const licence = licenceOf(folder, locked);
    if (SOURCE_AVAILABLE.includes(folder) && licence === 'FSL-1.1-Apache-2.0') return [];
    return licence !== undefined && mayBeUsed(licence) ? [] : [`${folder}: ${licence ?? 'none named'}`];
  });
  expect(shipped.length).toBeGreaterThan(100);
  expect(doubtful).toEqual([]);
});
