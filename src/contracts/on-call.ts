import { z } from 'zod';
import { Duration, Instant, Severity, Slug } from './names.ts';

const LocalTime = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'use a local time such as "09:00"');
const WEEK = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'] as const;

/** Local time of these days; `until` at or before `from` is of the next day, so that the default is the whole day. */
export const Hours = z.object({
  days: z
    .array(z.enum(WEEK))
    .min(1)
    .default([...WEEK]),
  from: LocalTime.default('00:00'),
  until: LocalTime.default('00:00'),
});
export type Hours = z.output<typeof Hours>;

/** People in turn. The first takes over at `handOver` of `from`; a weekly rotation is handed over on that date's weekday. */
export const Rotation = z.object({
  people: z.array(Slug).min(1),
  every: z.enum(['day', 'week']).default('week'),
  from: z.iso.date(),
  handOver: LocalTime.default('09:00'),
  /** It ends at `handOver` of this date. */
  until: z.iso.date().optional(),
  /** It is on duty only then; without it always. */
  hours: Hours.optional(),
});
export type Rotation = z.output<typeof Rotation>;

const Span = z.object({ from: Instant, until: Instant });
const ahead = ({ from, until }: z.output<typeof Span>): boolean => Date.parse(until) > Date.parse(from);

/** Who is on call when. Of several rotations on duty the first counts; of several overrides the last. */
export const Schedule = z.object({
  name: Slug,
  timeZone: z.string().default('UTC'),
  rotations: z.array(Rotation).min(1),
  /** This person instead of whoever else would be. */
  overrides: z
    .array(
      Span.extend({ person: Slug, reason: z.string().max(200).optional() }).refine(ahead, 'it ends before it begins'),
    )
    .default([]),
  /** Each takes the shifts of the other. */
  swaps: z.array(Span.extend({ between: z.tuple([Slug, Slug]) }).refine(ahead, 'it ends before it begins')).default([]),
});
export type Schedule = z.output<typeof Schedule>;

/** How the ladder is climbed, beside its levels. */
export const Escalation = z.object({
  /** The level at which it begins for a severity; the first where none is named. */
  entry: z.partialRecord(Severity, Slug).default({}),
  /** An acknowledgement without an end is stale after this long: the level that stood is paged again, and the ladder climbs on. */
  staleAfter: Duration.default('30 minutes'),
  /** How often the last level is paged again, at its own wait, while nobody acknowledges a hand-over. */
  repeats: z.number().int().min(0).max(200).default(100),
  /** A hand-over of one of these severities pages people only then. What asks for a decision does not wait: it expires. */
  businessHours: z
    .object({
      timeZone: z.string().default('UTC'),
      hours: Hours.prefault({ days: WEEK.slice(0, 5), from: '09:00', until: '17:00' }),
      severities: z.array(Severity).default(['info']),
    })
    .optional(),
});
export type Escalation = z.output<typeof Escalation>;

/** Who of a schedule is on call, and until when; nobody where a gap came up since the configuration was loaded. */
export const OnCall = z.object({ people: z.array(Slug), until: Instant.optional() });
export type OnCall = z.output<typeof OnCall>;

interface UnknownName {
  code: 'custom';
  path: (string | number)[];
  message: string;
}

interface Ladder {
  people: { name: string; delegates?: { to: string }[] | undefined }[];
  ladder: { level: string; people: string[]; onCall?: string | undefined }[];
  schedules: Schedule[];
  escalation: Escalation;
}

/** Names that people, the ladder and its schedules use and that nothing else has, each with its path and the remedy. */
export function unknownNames({ people, ladder, schedules, escalation }: Ladder): UnknownName[] {
  const known = {
    people: new Set(people.map(({ name }) => name)),
    schedules: new Set(schedules.map(({ name }) => name)),
    ladder: new Set(ladder.map(({ level }) => level)),
  };
  const issues: UnknownName[] = [];
  const check = (of: keyof typeof known, name: string, path: (string | number)[]): void => {
    const remedy = { people: 'the person', schedules: 'the schedule', ladder: 'the level' }[of];
    if (!known[of].has(name))
      issues.push({
        code: 'custom',
        path,
        message: `"${name}" is not in ${of}: add ${remedy} or correct the name`,
      });
  };
  people.forEach(({ delegates = [] }, i) =>
    delegates.forEach(({ to }, j) => check('people', to, ['people', i, 'delegates', j, 'to'])),
  );
  ladder.forEach(({ people: asked, onCall }, i) => {
    asked.forEach((name, j) => check('people', name, ['ladder', i, 'people', j]));
    if (onCall !== undefined) check('schedules', onCall, ['ladder', i, 'onCall']);
  });
  schedules.forEach(({ rotations, overrides, swaps }, i) => {
    const path = ['schedules', i];
    rotations.forEach((of, j) =>
      of.people.forEach((name, k) => check('people', name, [...path, 'rotations', j, 'people', k])),
    );
    overrides.forEach(({ person }, j) => check('people', person, [...path, 'overrides', j, 'person']));
    swaps.forEach(({ between }, j) =>
      between.forEach((name, k) => check('people', name, [...path, 'swaps', j, 'between', k])),
    );
  });
  for (const [severity, level] of Object.entries(escalation.entry))
    check('ladder', level, ['escalation', 'entry', severity]);
  return issues;
}
