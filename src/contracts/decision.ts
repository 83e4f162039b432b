import { z } from 'zod';
import { Action, Risk } from './action.ts';
import { Instant, Scope, Slug } from './names.ts';

/** One exact action, shown to the people who may approve it. `digest` is SHA-256 (hex) over incident, number, action and time. */
export const Proposal = z.object({
  /** `<workflow id>/<run id>#<number>`: the idempotency key of everything done for it. */
  id: z.string(),
  digest: z.string().length(64),
  summary: z.string().max(500),
  why: z.array(z.string().max(2000)).max(20),
  undo: z.string().max(500),
  risk: Risk,
  action: Action,
  expiresAt: Instant,
  /** Ways to approve it, where there are several; the first is meant when none is named. */
  options: z.array(Slug).max(5).optional(),
  /** Who may not decide: whoever asked for it, or approved it alone. */
  notBy: z.array(Slug).max(6).optional(),
});
export type Proposal<A extends Action = Action> = Omit<z.output<typeof Proposal>, 'action'> & { action: A };

export const Answer = z.enum(['approved', 'declined']);
export type Answer = z.output<typeof Answer>;

/** A person's decision on one digest, signed by the gateway or the CLI with Ed25519 over `signedBytes()`. */
export const SignedDecision = z.object({
  workflowId: z.string(),
  runId: z.string(),
  digest: z.string().length(64),
  verdict: Answer,
  person: Slug,
  via: z.enum(['cli', 'console', 'slack', 'api']),
  expiresAt: Instant,
  option: Slug.optional(),
  reason: z.string().max(500).optional(),
  /** Approves alone what the rule asks more people for; `reason` says why. */
  breakGlass: z.literal(true).optional(),
  keyId: z.string(),
  /** Hex of the 64 signature bytes. */
  signature: z.string(),
});
export type SignedDecision = z.output<typeof SignedDecision>;

/** What a person types into the Temporal UI: `{"by":"responder","code":"7KQM-2XHD"}`. */
export const CodedDecision = z.object({
  by: z.string().max(40),
  code: z.string().max(40),
  option: z.string().max(40).optional(),
  reason: z.string().max(500).optional(),
  /** Taken in to be refused: a code never approves alone. */
  breakGlass: z.unknown().optional(),
});
export type CodedDecision = z.output<typeof CodedDecision>;

/**
 * The only argument of a mitigation: the exact proposal, who approved it, and the grant of `serviceControl`.
 * `fence` rises with every grant of a service; a provider refuses one lower than the highest it has seen.
 */
export const Approval = z.object({
  id: z.string(),
  proposal: Proposal,
  by: z.array(z.string()).min(1),
  via: z.string(),
  at: Instant,
  fence: z.number().int().nonnegative(),
});
export type Approval<A extends Action = Action> = Omit<z.output<typeof Approval>, 'proposal'> & {
  proposal: Proposal<A>;
};

/** What one person has approved alone, and until when a second must have looked at it. Starts the run that asks for that. */
export const BreakGlassOrder = Scope.extend({
  of: z.object({ workflowId: z.string(), runId: z.string() }),
  digest: z.string().length(64),
  summary: z.string().max(500),
  risk: Risk,
  by: Slug,
  via: z.string().max(40),
  reason: z.string().max(500),
  at: Instant,
  until: Instant,
  /** Who else may not be the second: whoever asked for it, where four eyes hold. */
  notBy: z.array(Slug).max(5).optional(),
});
export type BreakGlassOrder = z.output<typeof BreakGlassOrder>;

/** Where a second person is asked to look, and until when. */
export const SecondLook = z.object({ workflowId: z.string(), reason: z.string().max(500), until: Instant });
export type SecondLook = z.output<typeof SecondLook>;

/** Answer of the update `decide`: how the ballot stands after this decision was counted. */
export const Ballot = z.object({
  verdict: z.enum(['open', 'approved', 'declined']),
  approvedBy: z.array(z.string()),
  needed: z.number().int(),
  /** Approved by one person alone. */
  breakGlass: SecondLook.optional(),
});
export type Ballot = z.output<typeof Ballot>;

/** What a message of a person carries; the name is what the sender says of itself and grants nothing. */
export const Said = z.object({
  by: z.string().max(60).default('someone'),
  text: z
    .string()
    .default('')
    .transform((text) => text.slice(0, 1000)),
});
export type Said = z.output<typeof Said>;

/** Hands an escalation to a person by name. */
export const HandOver = Said.extend({ to: Slug });
export type HandOver = z.output<typeof HandOver>;
