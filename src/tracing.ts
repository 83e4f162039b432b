/**
 * Traces, from an alert to its effects. A trace is a run: its id is the run's id without dashes, and the alert that opened it is
 * its root. So nothing about traces is in a history, workflows know nothing of them, and who has a run finds its trace.
 */
import { ROOT_CONTEXT, SpanStatusCode, trace, TraceFlags, type Attributes } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  RandomIdGenerator,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-base';
import type { Config } from './config.ts';
import type { Log } from './log.ts';

const SEND_MS = 3000;
const STOP_MS = 5000;

/** Something that was done for a run and is over. */
export interface Traced {
  runId: string;
  name: string;
  /** Whether it opened the run. */
  opens?: boolean;
  /** Milliseconds since the epoch. */
  from: number;
  attributes: Attributes;
  error?: unknown;
}
export interface Tracing {
  note: (traced: Traced) => void;
  /** Send what is left, for some seconds at most. */
  stop: () => Promise<void>;
}

const headersOf = (text = ''): Record<string, string> =>
  Object.fromEntries(
    text
      .split(',')
      .filter((entry) => entry.includes('='))
      .map((entry) => {
        const at = entry.indexOf('=');
        return [entry.slice(0, at).trim(), decodeURIComponent(entry.slice(at + 1).trim())];
      }),
  );

/** Spans by OTLP over HTTP to `OTEL_EXPORTER_OTLP_ENDPOINT`, with the headers of `OTEL_EXPORTER_OTLP_HEADERS`; none without it. */
export function createTracing(
  part: string,
  { env, temporal: { redact } }: Pick<Config, 'env' | 'temporal'>,
  log: Log,
): Tracing {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_HEADERS: headers } = env;
  if (endpoint === undefined) return { note: () => undefined, stop: async () => undefined };
  let told = false;
  const tell = (message: string): void => {
    if (!told) log(`${part}: traces cannot be sent: ${message}`);
    told = true;
  };
  const url = `${endpoint.replace(/\/+$/, '')}/v1/traces`;
  const otlp = new OTLPTraceExporter({ url, headers: headersOf(headers), timeoutMillis: SEND_MS });
  const exporter: SpanExporter = {
    export: (spans, done) =>
      otlp.export(spans, (result) => {
        if (result.error !== undefined) tell(result.error.message);
        done(result);
      }),
    shutdown: () => otlp.shutdown(),
  };
  const ids = new RandomIdGenerator();
  let root: { traceId: string; spanId: string } | undefined;
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': `holdfast-${part}` }),
    spanProcessors: [new BatchSpanProcessor(exporter, { exportTimeoutMillis: STOP_MS })],
    idGenerator: {
      generateTraceId: () => root?.traceId ?? ids.generateTraceId(),
      generateSpanId: () => root?.spanId ?? ids.generateSpanId(),
    },
  });
  const tracer = provider.getTracer('holdfast');
  const clean = (attributes: Attributes): Attributes =>
    Object.fromEntries(Object.entries(attributes).map(([k, v]) => [k, typeof v === 'string' ? redact(v) : v]));
  return {
    note({ runId, name, opens = false, from, attributes, error }) {
      const traceId = runId.replaceAll('-', '');
      const first = { traceId, spanId: traceId.slice(16) };
      const parent = trace.setSpanContext(ROOT_CONTEXT, { ...first, traceFlags: TraceFlags.SAMPLED, isRemote: true });
      root = opens ? first : undefined;
      const span = tracer.startSpan(
        name,
        { startTime: from, attributes: clean(attributes) },
        opens ? ROOT_CONTEXT : parent,
      );
      root = undefined;
      if (error !== undefined)
        span.setStatus({
          code: SpanStatusCode.ERROR,
          message: redact(error instanceof Error ? error.message : 'failed'),
        });
      span.end();
    },
    async stop() {
      const late = new Promise<void>((resolve) => void setTimeout(resolve, STOP_MS).unref());
      await Promise.race([provider.shutdown().catch(() => undefined), late]);
    },
  };
}
