import { z } from 'zod';
import type { LabVitals } from '../../src/contracts/index.ts';

const AUDITS = 3;

const Numeric = z.object({ numericValue: z.number() });
const Audit = z.object({
  title: z.string(),
  metricSavings: z.record(z.string(), z.number().nullish()).optional(),
  details: z.object({ overallSavingsMs: z.number().optional() }).optional(),
});
/** Source: github.com/GoogleChrome/lighthouse, docs/understanding-results.md */
export const Report = z.object({
  categories: z.object({ performance: z.object({ score: z.number() }) }),
  audits: z
    .object({
      'largest-contentful-paint': Numeric,
      'cumulative-layout-shift': Numeric,
      'total-blocking-time': Numeric,
      'first-contentful-paint': Numeric,
      'speed-index': Numeric,
    })
    .catchall(Audit),
});
export type Report = z.output<typeof Report>;

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

/** Medians of several runs, and of the audits of all of them those that cost most. */
export function medians(reports: Report[]): Omit<LabVitals, 'page' | 'device' | 'runs'> {
  const of = (name: 'largest-contentful-paint' | 'total-blocking-time' | 'first-contentful-paint' | 'speed-index') =>
    Math.round(median(reports.map(({ audits }) => audits[name].numericValue)));
  return {
    score: median(reports.map(({ categories }) => categories.performance.score)),
    lcpMs: of('largest-contentful-paint'),
    cls: median(reports.map(({ audits }) => audits['cumulative-layout-shift'].numericValue)),
    tbtMs: of('total-blocking-time'),
    fcpMs: of('first-contentful-paint'),
    speedIndexMs: of('speed-index'),
    audits: costliest(reports),
  };
}

function costliest(reports: Report[]): LabVitals['audits'] {
  const saves = new Map<string, number[]>();
  for (const { audits } of reports)
    for (const audit of Object.values(audits)) {
      const { data } = Audit.safeParse(audit);
      if (data === undefined) continue;
      const most = Math.max(
        data.details?.overallSavingsMs ?? 0,
        ...['LCP', 'FCP', 'TBT', 'INP'].map((metric) => data.metricSavings?.[metric] ?? 0),
      );
      saves.set(data.title, [...(saves.get(data.title) ?? []), most]);
    }
  return [...saves]
    .map(([title, all]) => ({ title: title.slice(0, 120), savesMs: Math.round(median(all)) }))
    .filter(({ savesMs }) => savesMs > 0)
    .toSorted((a, b) => b.savesMs - a.savesMs)
    .slice(0, AUDITS);
}
