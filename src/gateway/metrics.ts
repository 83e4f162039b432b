/** What the gateway counted since it started, and what lies in its inbox, for a scrape. */
export interface Measured {
  accepted: number;
  duplicates: number;
  batches: number;
  late: number;
  refused: Readonly<Record<string, number>>;
  backlog: { waiting: number; oldestAgeMs: number; aside: number };
}

/** Prometheus text format, version 0.0.4. */
export function metricsText({ accepted, duplicates, batches, late, refused, backlog }: Measured): string {
  const metric = (
    name: string,
    type: 'counter' | 'gauge',
    help: string,
    samples: [labels: string, value: number][],
  ) => {
    const full = `holdfast_gateway_${name}`;
    const lines = samples.map(([labels, value]) => `${full}${labels} ${value}`);
    return [`# HELP ${full} ${help}`, `# TYPE ${full} ${type}`, ...lines].join('\n');
  };
  return [
    metric('alerts_accepted_total', 'counter', 'Alerts stored, repeats included.', [['', accepted]]),
    metric('alerts_duplicate_total', 'counter', 'Alerts stored whose natural key was known.', [['', duplicates]]),
    metric('batches_dispatched_total', 'counter', 'Batches that reached an incident.', [['', batches]]),
    metric('batches_late_total', 'counter', 'Resolves and repeats that found no open incident.', [['', late]]),
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
