import { join } from 'node:path';
import { z } from 'zod';
import { runCommand } from '../src/processes.ts';
import { serving, type Asked } from './activities/http-server.ts';

const RUN = '0198c0de-7a11-7000-8000-00000000beef';
const Span = z.object({
  traceId: z.string(),
  spanId: z.string(),
  parentSpanId: z.string().optional(),
  name: z.string(),
  status: z.object({ message: z.string().optional() }),
});
const Body = z.object({
  resourceSpans: z.array(z.object({ scopeSpans: z.array(z.object({ spans: z.array(Span) })) })),
});
/** What it logged; in a process of its own, for jest has no dynamic import. */
const trace = async (env: Record<string, string>): Promise<string> =>
  (
    await runCommand({
      command: process.execPath,
      args: [join(__dirname, 'support', 'traced-process.ts'), RUN],
      env: { SENTRY_AUTH_TOKEN: 'of-sentry-0123456789', ...env },
    })
  ).stdout;

it('has one trace of a run, by its id, with the alert that opened it as the root', async () => {
  const asked: Asked[] = [];
  await using collector = await serving((one) => {
    asked.push(one);
    return { body: {} };
  });
  const headers = 'authorization=Bearer%20of-the-collector,x-team=ops';
  expect(await trace({ OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/`, OTEL_EXPORTER_OTLP_HEADERS: headers })).toBe(
    '',
  );

  expect(asked.map(({ url, headers: sent }) => [url.pathname, sent.authorization, sent['x-team']])).toEqual([
    ['/v1/traces', 'Bearer of-the-collector', 'ops'],
  ]);
  const [root, child] = asked.flatMap(({ body }) =>
    Body.parse(JSON.parse(body)).resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((one) => one.spans)),
  );
  const traceId = RUN.replaceAll('-', '');
  expect(root).toMatchObject({ name: 'alert', traceId });
  expect(root?.parentSpanId || undefined).toBeUndefined();
  expect(child).toMatchObject({ name: 'rollBack', traceId, parentSpanId: root?.spanId });
  expect(child?.status.message).toBe('refused [removed]');
});

it('says once that traces cannot be sent, and ends all the same', async () => {
  const said = await trace({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' });
  expect(said.split('\n')).toEqual([expect.stringMatching(/^worker: traces cannot be sent: /)]);
});

it('sends nothing where no collector is named', async () => {
  expect(await trace({})).toBe('');
});
