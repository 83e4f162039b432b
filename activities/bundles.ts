/** What a release sends to browsers: read from the build in its checkout, and from esbuild's metafile where it left one. */
import { readFile, readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, gzip } from 'node:zlib';
import { z } from 'zod';
import { beating } from '../src/beating.ts';
import type { BundleChange, BundlePart, Scope, Settings, Sizes } from '../src/contracts/index.ts';
import type { Bundles } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';
import { parsed } from '../src/http.ts';
import { composition, Metafile, type Composition } from './bundles/metafile.ts';

const SENT = new Set(['.js', '.mjs', '.css']);
const SHOWN = 20;
const PARTS = 24;

export const env = z.object({ HOLDFAST_STATE_DIR: z.string() });

interface Build {
  entries: Map<string, Sizes>;
  /** Undefined where the build left no metafile. */
  packages: Composition | undefined;
}

export function createActivities({ HOLDFAST_STATE_DIR: stateDir }: z.output<typeof env>, settings: Settings) {
  async function build({ service, environment }: Scope, commit: string): Promise<Build> {
    const of = settings.services.find(({ name }) => name === service)?.environments[environment]?.performance.bundle;
    if (of === undefined)
      throw failure('NotConfigured', `${service}/${environment} has no performance.bundle configured`);
    const checkout = join(stateDir, 'releases', service, environment, 'checkouts', commit);
    const folder = join(checkout, of.folder);
    const names = await readdir(folder, { recursive: true }).catch(() => {
      throw failure('NotFound', `the files of commit ${commit.slice(0, 12)} have no ${of.folder}: was it built?`);
    });
    const sent = names.filter((name) => SENT.has(extname(name))).toSorted();
    const sizes = await Promise.all(sent.map(async (name) => sizesOf(await readFile(join(folder, name)))));
    const entries = new Map<string, Sizes>();
    for (const [index, name] of sent.entries()) {
      const [known, size] = [entries.get(plain(name)), sizes[index]];
      if (size !== undefined) entries.set(plain(name), known === undefined ? size : plus(known, size));
    }
    if (of.metafile === undefined) return { entries, packages: undefined };
    const text = await readFile(join(checkout, of.metafile), 'utf8').catch(() => undefined);
    return { entries, packages: text === undefined ? undefined : composition(read(text, of.metafile)) };
  }

  return {
    /**
     * The bundle of the running release beside that of the one before it, whose build need not be there any more. Heartbeats.
     * @throws NotFound (permanent) when the running release was not built here; NotConfigured; UnexpectedResponse.
     */
    async bundleChange({ running, previous, ...scope }): Promise<BundleChange> {
      return await beating(async () => {
        const [now, before] = await Promise.all([
          build(scope, running),
          previous === undefined ? undefined : build(scope, previous).catch(() => undefined),
        ]);
        const { packages } = now;
        return {
          entries: [...now.entries].slice(0, SHOWN).map(([name, sizes]) => {
            const then = before?.entries.get(name);
            return { name, now: sizes, ...(then !== undefined && { before: then }) };
          }),
          packages: grown(packages?.bytes, before?.packages?.bytes).slice(0, SHOWN),
          duplicated: (packages?.duplicated ?? []).slice(0, 10),
          ...(packages !== undefined && { parts: partsOf(packages.bytes) }),
        };
      });
    },
  } satisfies Bundles;
}

/** `client-5QJ2KLMN.js` is `client.js` in every build. */
const plain = (name: string): string => name.replace(/[-.](?=\w*[A-Z\d])\w{8,}(?=\.\w+$)/, '');

const [gzipped, brotlied] = [promisify(gzip), promisify(brotliCompress)];
async function sizesOf(raw: Buffer): Promise<Sizes> {
  const [{ length: gzipBytes }, { length: brotliBytes }] = await Promise.all([gzipped(raw), brotlied(raw)]);
  return { rawBytes: raw.length, gzipBytes, brotliBytes };
}

const plus = (a: Sizes, b: Sizes): Sizes => ({
  rawBytes: a.rawBytes + b.rawBytes,
  gzipBytes: a.gzipBytes + b.gzipBytes,
  brotliBytes: a.brotliBytes + b.brotliBytes,
});

function read(text: string, file: string): Metafile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  return parsed(Metafile, value, file);
}

/** The largest first; those that are too many to draw are one part. */
function partsOf(bytes: Map<string, number>): BundlePart[] {
  const all = [...bytes].map(([name, rawBytes]) => ({ name: name.slice(0, 120), rawBytes }));
  const largest = all.toSorted((a, b) => b.rawBytes - a.rawBytes);
  const [drawn, others] = [largest.slice(0, PARTS), largest.slice(PARTS)];
  const rest = others.reduce((sum, { rawBytes }) => sum + rawBytes, 0);
  return others.length === 0 ? drawn : [...drawn, { name: `${others.length} others`, rawBytes: rest }];
}

/** Those that grew most, first. */
function grown(now = new Map<string, number>(), before?: Map<string, number>): BundleChange['packages'] {
  return [...now]
    .map(([name, rawBytes]) => {
      const beforeBytes = before?.get(name);
      return { name, rawBytes, ...(beforeBytes !== undefined && { beforeBytes }) };
    })
    .toSorted((a, b) => b.rawBytes - (b.beforeBytes ?? 0) - (a.rawBytes - (a.beforeBytes ?? 0)));
}
