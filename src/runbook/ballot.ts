/** How a proposal stands while people decide on it. */
import type { Ballot, Policy, Proposal, SecondLook } from '../contracts/index.ts';
import { neededFor } from './decisions.ts';

/** Which of the ways that a proposal offers, and why. */
export interface Chosen {
  option?: string | undefined;
  reason?: string | undefined;
}

export interface OpenBallot {
  proposal: Proposal;
  /** By person, over which way in. */
  approvals: Map<string, string>;
  declined?: { by: string; via: string; reason?: string | undefined };
  /** What the first who approved has chosen, and why. */
  chosen?: Chosen;
  /** One person has approved it alone; the run in which a second looks at that has begun when `begun` resolves. */
  alone?: { look: SecondLook; begun: Promise<void> };
  wrongTries: Map<string, number>;
}

export function standing({ proposal, approvals, declined, alone }: OpenBallot, policy: Policy | undefined): Ballot {
  const needed = policy === undefined ? 1 : neededFor(proposal, policy);
  const approved = alone !== undefined || approvals.size >= needed;
  return {
    verdict: declined !== undefined ? 'declined' : approved ? 'approved' : 'open',
    approvedBy: [...approvals.keys()],
    needed,
    ...(alone !== undefined && { breakGlass: alone.look }),
  };
}
