/** Prometheus text format, and what a counter or histogram counted between samples. */
import { failure } from '../../src/errors.ts';

export interface Series {
  name: string;
  labels: Record<string, string>;
  value: number;
}
/** `at` in milliseconds. */
export interface Sample {
  at: number;
  series: Map<string, Series>;
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?[ \t]+(\S+)(?:[ \t]+-?\d+)?$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;
const ESCAPES: Record<string, string> = { '\\n': '\n', '\\"': '"', '\\\\': '\\' };

/**
 * The series of these names, by name and labels.
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 * @throws UnexpectedResponse (permanent) when a line is not of the format, or when there is none.
 */
export function samplesOf(text: string, names: string[], what: string): Map<string, Series> {
  const wanted = new Set(names);
  const series = new Map<string, Series>();
  const lines = text.split('\n').map((line) => line.trim());
  if (!lines.some((line) => line !== '')) throw failure('UnexpectedResponse', `${what}: the answer is empty`);
  for (const line of lines.filter((each) => each !== '' && !each.startsWith('#'))) {
    const [, name, inner = '', value = ''] = LINE.exec(line) ?? [];
    if (name === undefined || Number.isNaN(numberOf(value)))
      throw failure('UnexpectedResponse', `${what}: this is not Prometheus text format: ${line.slice(0, 80)}`);
    if (wanted.has(name)) series.set(`${name}{${inner}}`, { name, labels: labelsOf(inner), value: numberOf(value) });
  }
  return series;
}

/** Whether the text says of what kind one of these is, as it may before there is a series of it. */
export const declares = (text: string, names: string[]): boolean =>
  [...text.matchAll(/^# TYPE (\S+) /gm)].some(([, of = '']) =>
    names.some((name) => name === of || name.startsWith(`${of}_`)),
  );

/** NaN of a series counts nothing; prom-client writes it as `Nan`. */
const numberOf = (text: string): number =>
  text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : /^nan$/i.test(text) ? 0 : Number(text);

const labelsOf = (inner: string): Record<string, string> =>
  Object.fromEntries(
    [...inner.matchAll(LABEL)].map(([, label = '', value = '']) => [
      label,
      value.replace(/\\[n"\\]/g, (escape) => ESCAPES[escape] ?? escape),
    ]),
  );

/** What each counter rose by, sample by sample: one that fell, or came anew, has started from zero. */
export function increase(samples: Sample[]): Series[] {
  const risen = new Map<string, Series>();
  for (const [index, { series }] of samples.slice(1).entries())
    for (const [key, now] of series) {
      const before = samples[index]?.series.get(key)?.value ?? 0;
      const rise = now.value >= before ? now.value - before : now.value;
      risen.set(key, { ...now, value: (risen.get(key)?.value ?? 0) + rise });
    }
  return [...risen.values()];
}

export const total = (series: Series[]): number => series.reduce((sum, { value }) => sum + value, 0);

/**
 * A quantile (0..1) of a histogram of seconds, linear within its bucket; 0 when it counted nothing. In the last bucket, which has
 * no end, it is the start of it.
 * Source: https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
 */
export function quantileMs(buckets: Series[], quantile: number): number {
  const ends = cumulated(buckets);
  const rank = quantile * (ends.at(-1)?.[1] ?? 0);
  if (rank === 0) return 0;
  let [start, below] = [0, 0];
  for (const [end, count] of ends) {
    if (count >= rank)
      return 1000 * (end === Infinity ? start : start + ((end - start) * (rank - below)) / (count - below));
    [start, below] = [end, count];
  }
  return 1000 * start;
}

/** Share (0..1) of what took longer than `ms`, linear within its bucket; 0 when it counted nothing. */
export function shareOver(buckets: Series[], ms: number): number {
  const ends = cumulated(buckets);
  const all = ends.at(-1)?.[1] ?? 0;
  let [start, below] = [0, 0];
  for (const [end, count] of ends) {
    if (all > 0 && ms / 1000 < end) {
      const within = end === Infinity ? 0 : ((count - below) * (ms / 1000 - start)) / (end - start);
      return 1 - (below + within) / all;
    }
    [start, below] = [end, count];
  }
  return 0;
}

/** Ends of the buckets in seconds, ascending, each with the count up to it. */
function cumulated(buckets: Series[]): [end: number, count: number][] {
  const counts = new Map<number, number>();
  for (const { labels, value } of buckets) {
    const end = numberOf(labels['le'] ?? 'NaN');
    counts.set(end, (counts.get(end) ?? 0) + value);
  }
  return [...counts.entries()].toSorted(([a], [b]) => a - b);
}
