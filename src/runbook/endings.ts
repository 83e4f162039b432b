import type { Outcome, Status } from '../contracts/index.ts';

/** Endings about which nobody need be woken. */
const QUIET: readonly Outcome[] = [
  'mitigated',
  'resolved',
  'declined',
  'taken-over',
  'released',
  'refused',
  'superseded',
  'confirmed',
];

/**
 * Whether a person must go on where the automation has ended so. A deployment that is stopped has taken back what it did, and one
 * that nobody has approved did nothing.
 */
export const needsAPerson = ({ outcome, steps }: Pick<Status, 'outcome' | 'steps'>): boolean =>
  outcome !== undefined &&
  !QUIET.includes(outcome) &&
  !(steps !== undefined && ['stopped', 'unanswered'].includes(outcome));
