import { z } from 'zod';
import { Slug } from './names.ts';

const on = { service: Slug, environment: Slug };

/** Return traffic from release `from` to release `to`; refused when `from` no longer runs. */
export const RollBack = z.object({ kind: z.literal('roll-back'), ...on, from: z.string(), to: z.string() });
export type RollBack = z.output<typeof RollBack>;

/** Set a boolean flag from its variant `from` to its off variant `to`; refused when it is no longer at `from`. */
export const SwitchOffFlag = z.object({
  kind: z.literal('switch-off-flag'),
  ...on,
  flag: z.string(),
  from: z.string(),
  to: z.string(),
});
export type SwitchOffFlag = z.output<typeof SwitchOffFlag>;

/** Run `to` instances of the running release instead of `from`. */
export const Scale = z.object({
  kind: z.literal('scale'),
  ...on,
  from: z.number().int().min(1),
  to: z.number().int().min(1).max(50),
});
export type Scale = z.output<typeof Scale>;

/** Everything Holdfast may do to a service. A typed value, never a command line. */
export const Action = z.discriminatedUnion('kind', [RollBack, SwitchOffFlag, Scale]);
export type Action = z.output<typeof Action>;

export const Risk = z.enum(['low', 'medium', 'high']);
export type Risk = z.output<typeof Risk>;
