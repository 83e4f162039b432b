import { z } from 'zod';
import { Duration, Severity } from './names.ts';

/** How incidents are reviewed. */
export const ReviewSettings = z.object({
  /** Severities whose review a person must close: by confirming or correcting the cause, or by skipping it with a reason. */
  required: z.array(Severity).default(['critical']),
  /** When an action item is due, unless it cannot wait that long. */
  due: Duration.default('7 days'),
  /** What is overdue goes to the next level of the ladder each time that this has passed. */
  escalateAfter: Duration.default('7 days'),
  /** Action items become issues of the tracker too. */
  issues: z.boolean().default(false),
});
export type ReviewSettings = z.output<typeof ReviewSettings>;

/** Where the documents are kept. */
export const Postmortems = z.object({
  /** Path or URL of a git repository; without one `postmortems.git` of the state folder, which is made. */
  repository: z.string().min(1).optional(),
  branch: z
    .string()
    .regex(/^[A-Za-z0-9][\w./-]{0,99}$/, 'use the name of a branch')
    .default('main'),
});

/** How long a runbook may go without a real run and without a drill that passed. */
export const DrillSettings = z.object({ staleAfter: Duration.default('90 days') });
export type DrillSettings = z.output<typeof DrillSettings>;
