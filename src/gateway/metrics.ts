/** How many values were at most so great, and their sum. */
export interface Histogram {
  observe(value: number): void;
  read(): { buckets: [atMost: string, count: number][]; sum: number };
}

export function createHistogram(ends: number[]): Histogram {
  const counts = [...ends, Infinity].map((atMost) => ({ atMost, count: 0 }));
  let sum = 0;
  return {
    observe(value) {
      sum += value;
      for (const one of counts) if (value <= one.atMost) one.count += 1;
    },
    read: () => ({
      buckets: counts.map(({ atMost, count }) => [String(atMost).replace('Infinity', '+Inf'), count]),
      sum,
    }),
  };
}

/** What runs in Temporal, as it was last seen. */
export interface Watched {
  temporalAnswers: boolean;
  /** By kind of run and phase. */
  open: { kind: string; phase: string; count: number }[];
  stuck: number;
}

/** What the gateway counted since it started, what lies in its inbox and what it saw of Temporal, for a scrape. */
export interface Measured {
  accepted: number;
  duplicates: number;
  silenced: number;
  batches: number;
  late: number;
  /** Seconds from the arrival of an alert to its incident. */
  lag: Histogram;
  refused: Readonly<Record<string, number>>;
  /** Undefined before it has looked. */
  watched: Watched | undefined;
  pages: Readonly<Record<'sent' | 'failed', number>>;
  backlog: { waiting: number; oldestAgeMs: number; aside: number };
}

/** Prometheus text format, version 0.0.4. */
export function metricsText(measured: Measured): string {
  const { accepted, duplicates, silenced, batches, late, lag, refused, backlog, watched, pages } = measured;
  const metric = (
    name: string,
    type: 'counter' | 'gauge' | 'histogram',
    help: string,
    samples: [suffix: string, value: number][],
  ) => {
    const full = `holdfast_gateway_${name}`;
    const lines = samples.map(([suffix, value]) => `${full}${suffix} ${value}`);
    return [`# HELP ${full} ${help}`, `# TYPE ${full} ${type}`, ...lines].join('\n');
  };
  const { buckets, sum } = lag.read();
  return [
    metric('alerts_accepted_total', 'counter', 'Alerts stored, repeats included.', [['', accepted]]),
    metric('alerts_duplicate_total', 'counter', 'Alerts stored whose natural key was known.', [['', duplicates]]),
    metric('alerts_silenced_total', 'counter', 'Alerts stored that a silence holds.', [['', silenced]]),
    metric('batches_dispatched_total', 'counter', 'Batches that reached an incident.', [['', batches]]),
    metric('batches_late_total', 'counter', 'Resolves and repeats that found no open incident.', [['', late]]),
    metric('dispatch_lag_seconds', 'histogram', 'From the arrival of an alert to its incident.', [
      ...buckets.map(([atMost, count]): [string, number] => [`_bucket{le="${atMost}"}`, count]),
      ['_sum', sum],
      ['_count', buckets.at(-1)?.[1] ?? 0],
    ]),
    metric(
      'pages_total',
      'counter',
      'Pages that the gateway sent itself, while no workflow could.',
      Object.entries(pages).map(([result, count]) => [`{result="${result}"}`, count]),
    ),
    ...(watched === undefined
      ? []
      : [
          metric('temporal_up', 'gauge', 'Whether Temporal answers.', [['', Number(watched.temporalAnswers)]]),
          metric('runs_stuck', 'gauge', 'Runs that fail, that no worker takes or that are late.', [
            ['', watched.stuck],
          ]),
          metric(
            'runs_open',
            'gauge',
            'Incidents and deployments that are open, by phase.',
            watched.open.map(({ kind, phase, count }) => [`{kind="${kind}",phase="${phase}"}`, count]),
          ),
        ]),
    metric(
      'requests_refused_total',
      'counter',
      'Requests that were not stored, by reason.',
      Object.entries(refused).map(([reason, count]) => [`{reason="${reason}"}`, count]),
    ),
    metric('inbox_waiting', 'gauge', 'Deliveries that have not reached Temporal.', [['', backlog.waiting]]),
    metric('inbox_oldest_age_seconds', 'gauge', 'Age of the oldest of them.', [['', backlog.oldestAgeMs / 1000]]),
    metric('inbox_aside', 'gauge', 'Entries put aside that can never be sent.', [['', backlog.aside]]),
  ]
    .join('\n')
    .concat('\n');
}
