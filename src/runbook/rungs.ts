/** Where a ladder stands: its levels, and what people have answered. */
import { deciderFor, worst, type EscalationOrder, type Result } from '../contracts/index.ts';
import type { Story } from './story.ts';

/** What people have answered. */
export interface Answers {
  acknowledgedBy: string | undefined;
  /** How often somebody has acknowledged: each time it counts anew. */
  acknowledgements: number;
  /** The person to whom somebody has handed it. */
  to: string | undefined;
  end: Result | undefined;
  /** A later run needs a person more urgently than this ladder was begun for. */
  again: boolean;
  /** A later run needs a person, told when this ladder had its end. */
  late: EscalationOrder | undefined;
}
export const isAnswered = ({ acknowledgedBy, end, to, again }: Answers): boolean =>
  again || (acknowledgedBy ?? end ?? to) !== undefined;

/** A level by its number, and how often the last was repeated. */
export interface Rung {
  rung: number;
  repeated: number;
}

/** Take in what a later run asks for: the worse severity with its rules, and no end by itself unless both may. */
export function join(order: EscalationOrder, later: EscalationOrder, of: { story: Story; answers: Answers }): void {
  const { story, answers } = of;
  const { from, subject, text, rules } = later;
  const severity = worst([order.severity, later.severity]) ?? later.severity;
  order.untilResolved = order.untilResolved === true && later.untilResolved === true;
  const sooner = order.rules.businessHours && !rules.businessHours;
  if (!sooner && severity === order.severity) return;
  Object.assign(order, { severity, subject, text, rules }, from === undefined ? {} : { from });
  Object.assign(answers, { again: true, acknowledgedBy: undefined });
  story.raise(severity);
  story.set({ acknowledgedBy: undefined });
}

/** Where the ladder begins. */
export const entry = ({ ladder, from }: EscalationOrder): number =>
  Math.max(
    0,
    ladder.findIndex(({ level }) => level === from),
  );

/** The next level, or the last one again; undefined at the end of the ladder. */
export function next(order: EscalationOrder, at: Rung): Rung | undefined {
  if (at.rung < order.ladder.length - 1) return { ...at, rung: at.rung + 1 };
  if (order.asks !== undefined || at.repeated >= order.rules.repeats) return undefined;
  return { ...at, repeated: at.repeated + 1 };
}

/** Somebody who is paged, and those of the level who have given deciding to this person, in words. */
export interface Asked {
  person: string;
  insteadOf?: string;
}

/** Who is paged at a moment where these people are the level: who asked for it decides nothing, nor does who has given that away. */
export function askedOf({ asks, notBy = [], people }: EscalationOrder, level: string[], now: number): Asked[] {
  const asked = new Map<string, string[]>();
  for (const one of level.filter((person) => !notBy.includes(person))) {
    const person = asks === undefined ? one : deciderFor(one, people, now);
    if (!notBy.includes(person)) asked.set(person, [...(asked.get(person) ?? []), ...(person === one ? [] : [one])]);
  }
  return [...asked].map(([person, away]) => ({ person, ...(away.length > 0 && { insteadOf: away.join(' and ') }) }));
}
