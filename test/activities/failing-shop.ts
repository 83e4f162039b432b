/** A shop that fails as told, seen by Sentry's SDK. Arguments: DSN, and the failures as JSON. */
import * as Sentry from '@sentry/node';
import { z } from 'zod';

const Failures = z.object({
  release: z.string(),
  environment: z.string().default('production'),
  times: z.number(),
  users: z.number().default(1),
  /** The flag `express-checkout` is on for this many of the failures. */
  express: z.number().default(0),
  because: z.enum(['bug', 'timeout']).default('bug'),
});
export type Failures = z.input<typeof Failures>;

function totalOf(cart: { price: number } | undefined): number {
  return cart!.price;
}

function fail(because: 'bug' | 'timeout'): void {
  if (because === 'timeout') throw new Error('payment timed out');
  totalOf(undefined);
}

const [dsn, told = '{}'] = process.argv.slice(2);
const { release, environment, times, users, express, because } = Failures.parse(JSON.parse(told));
Sentry.init({
  ...(dsn === undefined ? {} : { dsn }),
  release,
  environment,
  integrations: (defaults) => defaults.filter(({ name }) => name !== 'Dedupe'), // equal errors in a row are meant here
});
for (let i = 0; i < times; i++)
  Sentry.withScope((scope) => {
    scope.setUser({ id: `user-${i % users}` });
    scope.setTag('flag.express-checkout', i < express ? 'on' : 'off');
    try {
      fail(because);
    } catch (error) {
      Sentry.captureException(error);
    }
  });
Sentry.captureMessage('a message is no error', 'warning');
if (!(await Sentry.close(10_000))) throw new Error('the events were not delivered');
