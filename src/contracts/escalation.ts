import { z } from 'zod';
import { Duration, Instant, Scope, Severity, Slug } from './names.ts';

/** One way to reach a person: a channel of `src/channels/`, and what it needs to find the person (a Slack id, an e-mail address). */
export const Contact = z.object({ via: Slug, to: z.string().min(1).max(300) });

/** `channels` in the order in which they are tried; the console inbox always has a copy. */
export const Person = z.object({
  name: Slug,
  roles: z.array(z.enum(['viewer', 'responder', 'approver', 'admin'])),
  channels: z.array(Contact).default([]),
  /** The address by which Supabase Auth knows this person; without one there is no signing in. */
  email: z.email().toLowerCase().optional(),
  /** Whoever decides instead of this person meanwhile, with the roles of both, and is paged where a decision is asked for. */
  delegates: z
    .array(
      z
        .object({ to: Slug, from: Instant, until: Instant })
        .refine(({ from, until }) => Date.parse(until) > Date.parse(from), 'it ends before it begins'),
    )
    .optional(),
});
export type Person = z.output<typeof Person>;

/** To whom a person has given deciding at a moment (milliseconds since the epoch), and until when. */
export const delegateOf = ({ delegates = [] }: Pick<Person, 'delegates'>, now: number) =>
  delegates.find(({ from, until }) => Date.parse(from) <= now && now < Date.parse(until));

/** Who decides at a moment where this person is asked to: whoever that was given to, else the person. */
export function deciderFor(name: string, people: readonly Pick<Person, 'name' | 'delegates'>[], now: number): string {
  const person = people.find((one) => one.name === name);
  return (person && delegateOf(person, now)?.to) ?? name;
}

/** Those for whom a person decides at a moment. */
export const givenTo = <P extends Pick<Person, 'delegates'>>(person: string, people: P[], now: number): P[] =>
  people.filter((one) => delegateOf(one, now)?.to === person);

/** Who is asked, those named and whoever is on call by a schedule, and how long before the next level is. */
export const Level = z
  .object({ level: Slug, people: z.array(Slug).default([]), onCall: Slug.optional(), wait: Duration })
  .refine(({ people, onCall }) => people.length > 0 || onCall !== undefined, 'name people, or a schedule with onCall');
export type Level = z.output<typeof Level>;

/** One message to one person. `text` holds no secret; what delivers it adds the person's one-time code. */
export const Page = Scope.extend({
  key: z.string(),
  person: Slug,
  level: Slug,
  severity: Severity,
  /** Empty where no run asks: the gateway's own page. */
  workflowId: z.string(),
  runId: z.string(),
  subject: z.string().max(200),
  text: z.string().max(4000),
  /** The proposal this asks about; the person's code is for this digest and ends at this time. */
  asks: z.object({ digest: z.string(), expiresAt: z.string() }).optional(),
});
export type Page = z.output<typeof Page>;

/** Whom a run has paged, by the key of the first page about one thing on one level, and how often. */
export const Paged = z.record(z.string(), z.object({ person: Slug, times: z.number().int() }));
export type Paged = z.output<typeof Paged>;

/** The key of the first page, of the second, and so on. */
export const pageKey = (first: string, number: number): string => (number === 1 ? first : `${first}:${number}`);

/** What a ladder is climbed for, by the run `of`. */
export const EscalationOrder = Scope.extend({
  of: z.object({ workflowId: z.string(), runId: z.string() }),
  severity: Severity,
  /** Prefix of its pages' keys. */
  key: z.string(),
  subject: z.string().max(200),
  text: z.string().max(4000),
  /** The proposal that waits: the ladder ends at its last level. Without it a person takes over: the last level repeats. */
  asks: z.object({ digest: z.string(), expiresAt: Instant }).optional(),
  /** Who is not paged: whoever asked for it. */
  notBy: z.array(Slug).optional(),
  /** Nothing was changed, so that an alert which resolves by itself ends it. */
  untilResolved: z.boolean().optional(),
  /** The level at which it begins, where the severity does not say. */
  from: Slug.optional(),
  ladder: z.array(Level).min(1),
  people: z.array(Person.pick({ name: true, delegates: true }).extend({ channels: z.array(Slug) })),
  rules: z.object({ staleAfter: Duration, repeats: z.number().int(), businessHours: z.boolean() }),
  /** Channels on which everybody follows. */
  announce: z.array(Slug),
  /** By the run `of`, before. */
  paged: Paged.optional(),
});
export type EscalationOrder = z.output<typeof EscalationOrder>;

/** What the ladder tells the run that waits for it. */
export const EscalationNews = z.object({
  kind: z.enum(['paged', 'page-failed', 'acknowledged', 'stale']),
  what: z.string().max(600),
  who: z.string().max(40).optional(),
  /** Who is waited for. */
  people: z.array(Slug).optional(),
  /** Until when the ladder waits. */
  until: Instant.optional(),
  paged: Paged.optional(),
});
export type EscalationNews = z.output<typeof EscalationNews>;

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
  /** Its pages, so that a channel can take them back. */
  paged: Paged.optional(),
});
export type Announcement = z.output<typeof Announcement>;
