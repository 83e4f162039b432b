import { createRoute } from '@hono/zod-openapi';
import type { CauseWord, ItemWord, Review } from '../../contracts/index.ts';
import { failure } from '../../errors.ts';
import { audited } from '../../operations/audited.ts';
import { pastReviews, reviewOf, searched, tellReview } from '../../operations/reviews.ts';
import { kebab } from '../../runbook/catalogue.ts';
import type { Parts } from '../parts.ts';
import type { Principal } from '../rights.ts';
import { answers, body, type Endpoint } from './endpoint.ts';
import * as schemas from './schemas.ts';

const idOf = ({ id, run }: { id: string; run: string }): string => `review.${id}.${run}`;

/** What came after: reviews, their causes and their action items. */
export function reviewRoutes(endpoint: Endpoint, parts: Parts): void {
  const { access, record } = parts;
  const list = createRoute({
    method: 'get',
    path: '/api/reviews',
    request: { query: schemas.ReviewsQuery },
    responses: answers(schemas.ReviewList, 'A page of what was learned'),
  });
  endpoint('read', list, async (c) => {
    const { limit, cursor, open, ...of } = c.req.valid('query');
    const { services } = c.var.principal;
    const { learned, unknown } = await pastReviews(access, record);
    const own = learned.filter(({ service }) => services.length === 0 || services.includes(service));
    const found = searched(own, { ...of, open: open === 'true' });
    const last = cursor === undefined ? undefined : Buffer.from(cursor, 'base64url').toString('utf8');
    const from = last === undefined ? 0 : found.findIndex(({ review }) => review === last) + 1;
    if (last !== undefined && from === 0) throw failure('Refused', 'this is no cursor of this list');
    const reviews = found.slice(from, from + limit);
    const next = from + limit < found.length ? reviews.at(-1)?.review : undefined;
    return c.json(
      {
        reviews,
        ...(next !== undefined && { cursor: Buffer.from(next).toString('base64url') }),
        ...(unknown !== undefined && { unknown }),
      },
      200,
    );
  });
  const show = createRoute({
    method: 'get',
    path: '/api/reviews/{id}/{run}',
    request: { params: schemas.ReviewParam },
    responses: answers(schemas.ReviewShown, 'The review of one run'),
  });
  endpoint('read', show, async (c) => c.json(await reviewOf(access, idOf(c.req.valid('param')), record), 200));

  const tell = (
    { name }: Principal,
    on: string,
    update: Parameters<typeof tellReview>[2],
    word: Omit<CauseWord, 'by'> | Omit<ItemWord, 'by'>,
  ): Promise<Review> => {
    const detail = 'item' in word ? word.item : word.cause;
    return audited(parts, { who: name, via: 'api', what: kebab(update), on, detail }, () =>
      tellReview(access, on, update, { by: name, ...word }),
    );
  };
  const cause = createRoute({
    method: 'post',
    path: '/api/reviews/{id}/{run}/cause',
    request: { params: schemas.ReviewParam, ...body(schemas.CauseBody) },
    responses: answers(schemas.ReviewShown, 'The review, with what a person says the cause was'),
  });
  endpoint('respond', cause, async (c) =>
    c.json(await tell(c.var.principal, idOf(c.req.valid('param')), 'confirmCause', c.req.valid('json')), 200),
  );
  const close = createRoute({
    method: 'post',
    path: '/api/reviews/{id}/{run}/items/{item}/close',
    request: { params: schemas.ItemParam, ...body(schemas.ItemDoneBody) },
    responses: answers(schemas.ReviewShown, 'The review, with this action item done'),
  });
  endpoint('respond', close, async (c) => {
    const { item, ...of } = c.req.valid('param');
    return c.json(await tell(c.var.principal, idOf(of), 'closeItem', { item, ...c.req.valid('json') }), 200);
  });
  const change = createRoute({
    method: 'post',
    path: '/api/reviews/{id}/{run}/items/{item}/change',
    request: { params: schemas.ItemParam, ...body(schemas.ItemChangeBody) },
    responses: answers(schemas.ReviewShown, 'The review, with this action item given to another, or with more time'),
  });
  endpoint('respond', change, async (c) => {
    const { item, ...of } = c.req.valid('param');
    return c.json(await tell(c.var.principal, idOf(of), 'changeItem', { item, ...c.req.valid('json') }), 200);
  });
}
