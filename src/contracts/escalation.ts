import { z } from 'zod';
import { Duration, Instant, Scope, Severity, Slug } from './names.ts';

/** One way to reach a person: a channel of `src/channels/`, and what it needs to find the person (a Slack id, an e-mail address). */
export const Contact = z.object({ via: Slug, to: z.string().min(1).max(300) });

/** `channels` in the order in which they are tried; the console inbox always has a copy. */
export const Person = z.object({
  name: Slug,
  roles: z.array(z.enum(['viewer', 'responder', 'approver', 'admin'])),
  channels: z.array(Contact).default([]),
});
export type Person = z.output<typeof Person>;

/** Who is asked, and how long before the next level is. */
export const Level = z.object({ level: Slug, people: z.array(Slug).min(1), wait: Duration });
export type Level = z.output<typeof Level>;

/** One message to one person. `text` holds no secret; what delivers it adds the person's one-time code. */
export const Page = Scope.extend({
  key: z.string(),
  person: Slug,
  level: Slug,
  severity: Severity,
  workflowId: z.string(),
  runId: z.string(),
  subject: z.string().max(200),
  text: z.string().max(4000),
  /** The proposal this asks about; the person's code is for this digest and ends at this time. */
  asks: z.object({ digest: z.string(), expiresAt: z.string() }).optional(),
});
export type Page = z.output<typeof Page>;

/** How an incident or deployment stands, for everybody who follows it; the newest `at` replaces what was shown before. */
export const Announcement = Scope.extend({
  workflowId: z.string(),
  runId: z.string(),
  at: Instant,
  severity: Severity,
  state: z.enum(['open', 'acknowledged', 'closed']),
  subject: z.string().max(200),
  text: z.string().max(4000),
  /** The proposal that waits for a decision. */
  asks: z.object({ digest: z.string(), summary: z.string().max(1000), expiresAt: Instant }).optional(),
});
export type Announcement = z.output<typeof Announcement>;
