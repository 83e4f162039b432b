import { z } from 'zod';

/** Source: https://esbuild.github.io/api/#metafile */
export const Metafile = z.object({
  outputs: z.record(
    z.string(),
    z.object({ inputs: z.record(z.string(), z.object({ bytesInOutput: z.number().nonnegative() })) }),
  ),
});
export type Metafile = z.output<typeof Metafile>;

export interface Composition {
  /** Bytes in the outputs by package; what is of no package is the application's own. */
  bytes: Map<string, number>;
  duplicated: { name: string; copies: number }[];
}

export const OWN = 'the application';
const PACKAGE = /^(.*\bnode_modules\/((?:@[^/]+\/)?[^/]+))\//;

/** What the outputs are made of. A package that comes from two folders is in it twice. */
export function composition({ outputs }: Metafile): Composition {
  const bytes = new Map<string, number>();
  const folders = new Map<string, Set<string>>();
  for (const { inputs } of Object.values(outputs))
    for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
      if (bytesInOutput === 0) continue;
      const [, folder = '', name = OWN] = PACKAGE.exec(path) ?? [];
      bytes.set(name, (bytes.get(name) ?? 0) + bytesInOutput);
      if (name !== OWN) folders.set(name, (folders.get(name) ?? new Set()).add(folder));
    }
  const duplicated = [...folders].flatMap(([name, { size }]) => (size > 1 ? [{ name, copies: size }] : []));
  return { bytes, duplicated };
}
