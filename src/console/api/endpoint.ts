import type { RouteConfig, RouteHandler } from '@hono/zod-openapi';
import type { z } from 'zod';
import type { Env, Rule } from '../routes.ts';
import { Problem } from './schemas.ts';

/** By HTTP status. */
export const TITLES: Record<number, string> = {
  400: 'The request is wrong',
  401: 'Sign in first',
  403: 'Not allowed',
  404: 'Not found',
  409: 'Not possible now',
  413: 'The body is too large',
  415: 'Send application/json',
  422: 'Another request had this key',
  429: 'Too many requests',
  503: 'Not available',
};

/** What every route may answer besides its own. */
const problems = Object.fromEntries(
  [400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 502, 503].map((status) => [
    status,
    { description: TITLES[status] ?? 'It failed here', content: { 'application/problem+json': { schema: Problem } } },
  ]),
);
const json = <S extends z.ZodType>(schema: S) => ({ content: { 'application/json': { schema } } });
/** A JSON body that must be there. */
export const body = <S extends z.ZodType>(schema: S) => ({ body: { required: true, ...json(schema) } });
/** What a route answers when all is well, and what else it may. */
export const answers = <S extends z.ZodType>(schema: S, description: string) => ({
  200: { description, ...json(schema) },
  ...problems,
});

export interface Endpoint {
  /** A route that asks for a right, and its handler. */
  <R extends RouteConfig>(rule: Rule, route: R, handler: RouteHandler<R, Env>): void;
}
