import type { Alert } from '../contracts/index.ts';

const SAMPLES = 10;
/** A signal stays under 16 KiB, whatever the alerts hold. */
const BYTES = { alert: 3 * 1024, all: 12 * 1024 };

const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));

/** An alert within its share of a signal: the labels that fit, in their order. Its raw bytes stay whole in the inbox. */
function slim(alert: Alert): Alert {
  if (bytesOf(alert) <= BYTES.alert) return alert;
  const { url: _, ...bare } = { ...alert, summary: alert.summary.slice(0, 300), labels: {} as Record<string, string> };
  for (const [label, value] of Object.entries(alert.labels)) {
    const labels = { ...bare.labels, [label]: value };
    if (bytesOf({ ...bare, labels }) <= BYTES.alert) bare.labels = labels;
  }
  return bare;
}

/** What a signal shows of its alerts: at most ten, each bounded, the first always among them. */
export function boundedSamples(alerts: Alert[]): Alert[] {
  const samples: Alert[] = [];
  for (const alert of alerts.slice(0, SAMPLES).map(slim)) {
    if (samples.length > 0 && bytesOf([...samples, alert]) > BYTES.all) break;
    samples.push(alert);
  }
  return samples;
}
