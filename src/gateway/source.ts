import { timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { Alert, Severity } from '../contracts/index.ts';

const LABELS = 50;

/** One way for alerts to come in. `verify` sees the raw bytes, before anything is parsed, and compares in constant time. */
export interface AlertSource {
  name: string;
  /** Environment variable of the secret; without it the endpoint is closed. */
  secret: string;
  verify(raw: Buffer, headers: Headers, secret: string): boolean;
  /** Throws a ZodError when the body is not this source's. */
  normalise(body: unknown, headers: Headers): Alert[];
}

/** Are these equal? In a time that does not depend on where they differ. */
export function equal(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** Text from outside, cut to what the contract holds. */
export const cut = (text: string | null | undefined, length: number): string => (text ?? '').slice(0, length);

/** Labels from outside: at most 50, text only, bounded. */
export const labelsOf = (labels: Record<string, unknown> | null | undefined): Record<string, string> =>
  Object.fromEntries(
    Object.entries(labels ?? {})
      .slice(0, LABELS)
      .map(([key, value]) => [key.slice(0, 100), cut(typeof value === 'string' ? value : JSON.stringify(value), 500)]),
  );

/** A slug, or nothing: a name that is none cannot be a service of ours. */
export const slugOf = (value: unknown): string | undefined =>
  typeof value === 'string' && /^[a-z0-9-]{1,40}$/.test(value) ? value : undefined;

export const severityOf = (value: unknown): Severity =>
  value === 'critical' || value === 'warning' || value === 'info'
    ? value
    : value === 'error' || value === 'fatal' || value === 'page'
      ? 'critical'
      : 'warning';

/** A time that is set: Go's zero time and nonsense become now. */
export function instantOf(value: string | null | undefined, now = new Date()): string {
  const time = value === null || value === undefined ? Number.NaN : Date.parse(value);
  return Number.isFinite(time) && time > 0 ? new Date(time).toISOString() : now.toISOString();
}

/** Leaves out what is undefined, for exact optional properties. */
export const given = <T extends object>(of: T): { [K in keyof T]: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(of).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };

export const Text = z.string().nullish();
export const Labels = z.record(z.string(), z.unknown()).nullish();
