import { z } from '@hono/zod-openapi';
import {
  Ballot,
  CauseWord,
  DeploymentOrder,
  Duration,
  Freeze,
  ItemWord,
  Learned,
  Ledger,
  Review,
  RUN_ID,
  Status,
} from '../../contracts/index.ts';
import { OnCallReport } from '../../operations/on-call.ts';
import { REVIEWED, REVIEWED_RUN } from '../../operations/reviews.ts';
import { ListedRun, RunFilter } from '../../operations/runs.ts';
import { Silence as Kept } from '../../silences.ts';
import { ApiToken, Scope } from '../store.ts';

// A schema that was made before zod knew of OpenAPI has no name in it: `extend({})` makes it anew.

/** RFC 9457. */
export const Problem = z
  .object({ type: z.string(), title: z.string(), status: z.number().int(), detail: z.string() })
  .openapi('Problem');

export const Run = Status.extend({}).openapi('Run');
export const RunList = z
  .object({ runs: z.array(ListedRun), cursor: z.string().optional() })
  .openapi('RunList', { description: 'Open ones first, then newest first; `cursor` leads to the next page' });
export const ListQuery = RunFilter.omit({ kind: true });
export const RunParam = z.object({
  id: z
    .string()
    .regex(RUN_ID)
    .openapi({ param: { name: 'id', in: 'path' }, example: 'incident.shop.high-error-rate' }),
});
export const RunQuery = z.object({ run: z.uuid().optional().openapi({ description: 'An earlier run of this id' }) });

export const DecisionBody = z
  .object({
    digest: z.string().length(64).openapi({ description: 'Of the proposal that the person has seen' }),
    verdict: z.enum(['approved', 'declined']),
    option: z.string().max(40).optional(),
    reason: z.string().max(500).optional(),
    breakGlass: z.literal(true).optional().openapi({
      description: 'Approve alone, where the rule asks for more people and has `breakGlass`; needs `reason`',
    }),
  })
  .strict()
  .openapi('Decision');
export const Standing = Ballot.extend({}).openapi('Ballot');
export const MessageBody = z
  .object({ text: z.string().trim().max(1000).default('') })
  .strict()
  .openapi('Message');
export const Accepted = z.object({ accepted: z.literal(true) }).openapi('Accepted');

export const OrderBody = DeploymentOrder.omit({ orderedBy: true, onBehalfOf: true })
  .strict()
  .openapi('DeploymentOrder');
export const RollbackBody = DeploymentOrder.pick({ service: true, environment: true })
  .extend({ to: DeploymentOrder.shape.ref })
  .strict()
  .openapi('RollbackOrder');
export const Started = z
  .object({ workflowId: z.string(), runId: z.string(), joined: z.boolean() })
  .openapi('StartedRun');

export const Services = z
  .object({
    services: z.array(
      z.object({
        service: z.string(),
        unknown: z.array(z.string()),
        killSwitch: z.object({ on: z.boolean(), by: z.string(), reason: z.string() }).optional(),
        environments: z.array(
          z.object({
            environment: z.string(),
            url: z.string(),
            mode: z.string(),
            procedure: z.string(),
            objectives: z.object({ errorRatio: z.number(), p95Ms: z.number() }),
            firing: z.record(z.string(), z.string()).optional(),
            ledger: Ledger.optional(),
          }),
        ),
      }),
    ),
  })
  .openapi('Services');

export const ServiceParam = z.object({
  service: z
    .string()
    .regex(/^[a-z0-9-]{1,40}$/)
    .openapi({ param: { name: 'service', in: 'path' }, example: 'shop' }),
});
export const KillSwitchBody = z
  .object({ on: z.boolean(), reason: z.string().trim().max(300).default('') })
  .strict()
  .openapi('KillSwitch', { description: 'While it is on Holdfast changes nothing of the service' });
export const FreezeBody = Freeze.omit({ by: true })
  .extend({ environment: Ledger.shape.environment, reason: z.string().trim().min(1).max(300) })
  .strict()
  .openapi('Freeze', { description: 'Without `until` it holds until it is taken away' });
export const UnfreezeBody = z.object({ environment: Ledger.shape.environment }).strict().openapi('Unfreeze');

export const Silence = Kept.extend({}).openapi('Silence', {
  description: 'Alerts with all of these labels open and join nothing until then',
});
export const Silences = z.object({ silences: z.array(Silence) }).openapi('Silences');
export const NewSilence = z
  .object({
    match: z
      .record(z.string().min(1).max(100), z.string().max(300))
      .refine((labels) => Object.keys(labels).length > 0, 'name a label at least')
      .openapi({ minProperties: 1, example: { alertname: 'HighErrorRate', service: 'shop' } }),
    for: Duration.max(40).openapi({ example: '2 hours' }),
    reason: z.string().trim().min(1).max(300),
  })
  .strict()
  .openapi('NewSilence');

export const ReviewsQuery = z.object({
  search: z.string().max(100).optional().openapi({ description: 'Words that must all be in it' }),
  service: RunFilter.shape.service,
  open: z.enum(['true', 'false']).default('false').openapi({ description: 'Those with open action items alone' }),
  limit: RunFilter.shape.limit,
  cursor: RunFilter.shape.cursor,
});
export const ReviewList = z
  .object({ reviews: z.array(Learned), cursor: z.string().optional(), unknown: z.string().optional() })
  .openapi('ReviewList', {
    description: 'Newest first; `cursor` leads to the next page, `unknown` says what could not be read',
  });
export const ReviewParam = z.object({
  id: z
    .string()
    .regex(REVIEWED)
    .openapi({ param: { name: 'id', in: 'path' }, example: 'incident.shop.high-error-rate' }),
  run: z
    .string()
    .regex(REVIEWED_RUN)
    .openapi({ param: { name: 'run', in: 'path' }, description: 'The run that it is of' }),
});
export const ReviewShown = Review.extend({}).openapi('Review');
export const CauseBody = CauseWord.omit({ by: true }).strict().openapi('Cause');
export const ItemParam = ReviewParam.extend({
  item: z
    .string()
    .regex(/^[a-z0-9-]{1,40}$/)
    .openapi({ param: { name: 'item', in: 'path' }, example: 'confirm-the-cause' }),
});
export const ItemDoneBody = ItemWord.pick({ text: true }).strict().openapi('ItemDone');
export const ItemChangeBody = ItemWord.pick({ owner: true, dueAt: true }).strict().openapi('ItemChange');

export const OnCall = OnCallReport.extend({}).openapi('OnCall');

export const Credentials = z
  .object({ email: z.string().max(200), password: z.string().max(200).optional(), code: z.string().max(20).optional() })
  .strict()
  .openapi('Credentials', { description: 'With neither password nor code, a code is sent' });
export const Session = z
  .object({ token: z.string().optional(), person: z.string().optional(), sent: z.boolean().optional() })
  .openapi('Session');
export const Who = z
  .object({ name: z.string(), kind: z.enum(['person', 'token']), rights: z.array(z.string()) })
  .openapi('Who');

export const NewToken = z
  .object({
    name: z.string().regex(/^[a-z0-9-]{1,40}$/),
    scopes: z.array(Scope).min(1),
    services: z.array(z.string().max(40)).default([]),
    days: z.number().int().min(1).max(365).default(90),
  })
  .strict()
  .openapi('NewToken');
export const Token = ApiToken.extend({}).openapi('Token');
export const CreatedToken = ApiToken.extend({ token: z.string() }).openapi('CreatedToken', {
  description: 'The secret is told this once',
});
export const Tokens = z.object({ tokens: z.array(Token) }).openapi('Tokens');
