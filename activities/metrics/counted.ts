import type { Saturation, Scope, Settings, Window } from '../../src/contracts/index.ts';
import { failure } from '../../src/errors.ts';
import type { Series } from './series.ts';

/** What was counted in a window that ends now. */
export interface Counted {
  /** How long it was, as far as it could be measured. */
  seconds: number;
  requests: number;
  /** Answered with 5xx. */
  failed: number;
  /** Of the histogram of their durations, by `le` in seconds. */
  buckets: Series[];
  /** Whether there is a series that counts them. */
  seen: boolean;
}

/** Where the counts come from; what they mean is said once, for all of them. */
export interface Source {
  /** Requests whose series have these labels. */
  counted(of: Window, match: Record<string, string>): Promise<Counted>;
  /** Where no series counts requests: whether that is known to be because there were none since what counts them began. */
  idle(of: Scope, match: Record<string, string>): Promise<boolean>;
  saturation(of: Window): Promise<Saturation>;
}

/** @throws NotConfigured (permanent). */
export function metricsOf(settings: Settings, { service, environment }: Scope) {
  const of = settings.services.find(({ name }) => name === service)?.environments[environment]?.metrics;
  if (of === undefined) throw failure('NotConfigured', `${service}/${environment} has no metrics configured`);
  return of;
}

export const CPU = 'process_cpu_seconds_total';
