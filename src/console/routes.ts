import type { Context, Handler, Hono } from 'hono';
import type { Right } from '../rights.ts';
import type { Principal } from './rights.ts';

/** Who may use a route: anyone at all, or whoever has this right on the service that the request is about. */
export type Rule = 'anyone' | Right;

export interface Env {
  Variables: { principal: Principal };
}
export type Asked = Context<Env>;

export interface Routed {
  method: 'GET' | 'POST' | 'DELETE';
  path: string;
  rule: Rule;
}

/** A way in whose every route has a rule, checked before its handler sees the request. */
export interface Door {
  routes: Routed[];
  route(method: Routed['method'], path: string, rule: Rule, handler: Handler<Env>): void;
}

/** `check` answers where the rule is not met, and lets the rest through. */
export function createDoor(app: Hono<Env>, check: (c: Asked, rule: Rule) => Promise<Response | undefined>): Door {
  const routes: Routed[] = [];
  return {
    routes,
    route(method, path, rule, handler) {
      routes.push({ method, path, rule });
      app.on(method, path, async (c, next) => (await check(c, rule)) ?? (await handler(c, next)));
    },
  };
}
