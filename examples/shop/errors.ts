import * as Sentry from '@sentry/node';
import { config } from './config.ts';

/** Every error is reported, equal ones too: how many users meet it matters. */
Sentry.init({
  ...(config.sentryDsn === undefined ? {} : { dsn: config.sentryDsn }),
  release: `shop@${config.version}`,
  environment: 'production',
  integrations: (defaults) => defaults.filter(({ name }) => name !== 'Dedupe'),
});

/** Report an error with who met it and which way of checking out they were on. */
export function report(error: unknown, of: { user: string; variant: string }): void {
  Sentry.captureException(error, { user: { id: of.user }, tags: { 'flag.express-checkout': of.variant } });
}

export const flushErrors = (): Promise<boolean> => Sentry.close(2000);
