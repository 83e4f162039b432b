/**
 * Loaded once per worker and shared by all its workflows, which would otherwise each hold contracts, kit and libraries of their
 * own: 1.4 MiB, and the time to make them. No file of the sandbox has mutable module state, so nothing leaks between them.
 * Temporal freezes what is shared, down to what is frozen already. A schema of zod fills itself in as it is used, so its face
 * is filled in here and frozen; what lies under it stays as zod left it.
 */
import { z } from 'zod';
import * as contracts from '../src/contracts/index.ts';
import '../workflows/index.ts';

for (const schema of Object.values(contracts)) {
  if (!(schema instanceof z.ZodType)) continue;
  const face: Record<string, unknown> = schema as never;
  for (let proto: unknown = schema; proto !== null; proto = Object.getPrototypeOf(proto))
    for (const name of Object.getOwnPropertyNames(proto)) void face[name]; // the first read of a member makes it
  Object.freeze(schema);
}
