import { createHash, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { Slug, type Alert, type Severity } from '../contracts/index.ts';

const LABELS = 50;
const KEY_LENGTH = 512;
const YEAR_10000 = Date.UTC(10_000, 0);

/** Somebody looks at what a page of this run was about; `by` is what the source says of the person, and grants nothing. */
export interface Acknowledged {
  workflowId: string;
  runId: string;
  by: string;
}

/** One way for alerts to come in: one file in `sources/`. */
export interface AlertSource {
  name: string;
  /** Environment variable of the secret; without it the endpoint is closed. */
  secret: string;
  /** What a usable secret looks like, where not every text is one. */
  secretForm?: RegExp;
  /** Sees the raw bytes, before anything is parsed, and compares in constant time. */
  verify(raw: Buffer, headers: Headers, secret: string): boolean;
  /** None when there is nothing to do. @throws ZodError when the body is not this source's. */
  normalise(body: unknown, headers: Headers): Alert[];
  /** Names of the heartbeats that a body is a sign of. */
  heartbeats?(body: unknown): string[];
  /** The repository, as `owner/name`, of which a body says that a workflow has ended. */
  ended?(body: unknown, headers: Headers): string | undefined;
  /** Pages of Holdfast's own that a person has acknowledged there. */
  acknowledged?(body: unknown): Acknowledged[];
}

export const defineSource = (source: AlertSource): AlertSource => source;

/** Are these equal? In a time that does not depend on where they differ. */
export function equal(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** Is this time (seconds since the epoch) within five minutes of now? */
export const recent = (seconds: number): boolean => Math.abs(Date.now() / 1000 - seconds) <= 300;

/** A name for people as a name of the configuration: "Web Shop" is `web-shop`. */
export const slugOf = (name: string | null | undefined): string | undefined =>
  name
    ?.toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '');

/** Text from outside: without control characters and half surrogate pairs, cut to what the contract holds. */
export const cut = (text: string, length: number): string =>
  text
    .replaceAll(/(?![\n\t])\p{Cc}/gu, ' ')
    .slice(0, length)
    .toWellFormed();

/** A natural key of its parts; one that is too long ends in a digest, so that two never become one. */
export function keyOf(...parts: (string | number | null | undefined)[]): string {
  const key = parts.map((part) => part ?? '').join('|');
  if (key.length <= KEY_LENGTH) return cut(key, KEY_LENGTH);
  return `${cut(key, KEY_LENGTH - 65)}|${createHash('sha256').update(key).digest('hex')}`;
}

/** Labels from outside: at most 50, text only, bounded. */
export const labelsOf = (labels: Record<string, unknown> | null | undefined): Record<string, string> =>
  Object.fromEntries(
    Object.entries(labels ?? {})
      .filter(([, value]) => value !== null && value !== undefined && value !== '')
      .slice(0, LABELS)
      .map(([key, value]) => [cut(key, 100), cut(typeof value === 'string' ? value : JSON.stringify(value), 500)]),
  );

const SEVERITIES: Record<Severity, string[]> = {
  critical: ['critical', 'page', 'error', 'fatal', 'emergency', 'high', 'p1', 'sev1'],
  warning: [],
  info: ['info', 'information', 'none', 'debug', 'low', 'sample'],
};

/** The words of the field for how bad it is; an unknown one is a warning. */
function severityOf(word: string | null | undefined): Severity {
  const is = (severity: Severity): boolean => SEVERITIES[severity].includes((word ?? '').toLowerCase());
  return is('critical') ? 'critical' : is('info') ? 'info' : 'warning';
}

/** A time that is set: Go's zero time and nonsense become now. */
function instantOf(value: string | null | undefined): string {
  const time = Date.parse(value ?? '');
  return (time > 0 && time < YEAR_10000 ? new Date(time) : new Date()).toISOString();
}

type Word = string | null | undefined;

/** An alert of what a source says, within the limits of the contract. A service or environment that is no slug is left to the routes. */
export function alertOf(of: {
  source: string;
  key: string;
  name: string;
  resolved?: boolean;
  severity?: Word;
  service?: Word;
  environment?: Word;
  summary?: Word;
  startsAt?: Word;
  labels: Record<string, string>;
  url?: Word;
  doubt?: Alert['doubt'];
}): Alert {
  const slug = <K extends string>(name: K, value: Word) => {
    const parsed = Slug.safeParse(value);
    return (parsed.success ? { [name]: parsed.data } : {}) as { [key in K]?: string };
  };
  return {
    source: of.source,
    key: of.key,
    name: cut(of.name, 200),
    status: of.resolved === true ? 'resolved' : 'firing',
    severity: severityOf(of.severity),
    ...slug('service', of.service),
    ...slug('environment', of.environment),
    summary: cut(of.summary || of.name, 1000),
    startsAt: instantOf(of.startsAt),
    labels: of.labels,
    ...(of.url ? { url: cut(of.url, 2000) } : {}),
    ...(of.doubt === undefined ? {} : { doubt: of.doubt }),
  };
}

/** Parts of a body that may be absent, null, or not what was expected: an alert is not refused for them. */
export const Text = z.string().nullish().catch(null);
export const Labels = z.record(z.string(), z.unknown()).nullish().catch(null);
