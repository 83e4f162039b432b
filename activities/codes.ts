import { timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { oneTimeCode } from '../src/codes.ts';
import type { Codes } from '../src/contracts/ports.ts';
import type { Settings } from '../src/contracts/index.ts';

export const env = z.object({ HOLDFAST_CODE_SECRET: z.string().min(16) });

/** As a tired person types it: any case, spaces and hyphens anywhere, O for 0, I or L for 1. */
const canonical = (code: string): Buffer =>
  Buffer.from(code.toUpperCase().replace(/[\s-]/g, '').replaceAll('O', '0').replace(/[IL]/g, '1'));

export function createActivities({ HOLDFAST_CODE_SECRET }: z.output<typeof env>, _settings: Settings) {
  return {
    /** Compares in constant time. Whether the proposal is still open, and how often one may try, is the workflow's to say. */
    async checkCode({ code, ...of }) {
      const expected = canonical(oneTimeCode({ secret: HOLDFAST_CODE_SECRET, ...of }));
      const given = canonical(code);
      return given.length === expected.length && timingSafeEqual(given, expected);
    },
  } satisfies Codes;
}
