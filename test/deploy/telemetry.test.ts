/** Holdfast watched by itself: what its rules and its dashboard read is there, and a real Prometheus understands them. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { readPages } from '../../src/pages.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { until } from '../support/until.ts';
import { startCanaryRig } from '../support/canary-rig.ts';
import { amtoolBinary, prometheusBinary } from '../support/prometheus.ts';
import { compose, ROOT, textOf } from './compose.ts';

interface Rule {
  alert: string;
  expr: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}
interface Dashboard {
  panels: { title: string; targets: { expr: string }[] }[];
}
const { groups } = parse(textOf('deploy/holdfast.rules.yml')) as { groups: { rules: Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);
const { panels } = JSON.parse(textOf('deploy/grafana/holdfast.json')) as Dashboard;
const Traces = z.object({
  resourceSpans: z.array(
    z.object({
      scopeSpans: z.array(z.object({ spans: z.array(z.object({ traceId: z.string(), name: z.string() })) })),
    }),
  ),
});
const spansIn = (body: string) =>
  Traces.parse(JSON.parse(body)).resourceSpans.flatMap((one) => one.scopeSpans.flatMap(({ spans }) => spans));
/** Grafana's own variable stands for a time. */
const shown = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr.replaceAll('$__rate_interval', '5m')));
const namesIn = (expr: string): string[] => expr.match(/\b(holdfast|temporal)_\w+\b(?!=)/g) ?? [];

const stateDir = scratchFolder();
afterAll(() => removeScratch(stateDir));

const withPromtool = prometheusBinary === undefined ? it.skip : it;
const promtool = (args: string[], input?: string): string =>
  execFileSync('promtool', args, { cwd: join(ROOT, 'deploy'), encoding: 'utf8', input, stdio: 'pipe' });

withPromtool('has rules and a dashboard that Prometheus understands, and rules that fire when they should', () => {
  expect(promtool(['check', 'rules', 'holdfast.rules.yml'])).toContain(`${rules.length} rules found`);
  const asRules = shown.map((expr, i) => ({ record: `shown:${i}`, expr }));
  const file = join(stateDir, 'shown.yml');
  writeFileSync(file, JSON.stringify({ groups: [{ name: 'shown', rules: asRules }] }));
  expect(promtool(['check', 'rules', file])).toContain(`${shown.length} rules found`);
  expect(promtool(['test', 'rules', '../test/deploy/holdfast.rules.test.yml'])).toContain('SUCCESS');
});

withPromtool("has a Prometheus' configuration, and rules of the sample shop, that Prometheus understands", () => {
  expect(promtool(['check', 'config', '--syntax-only', 'prometheus.yml'])).toContain('SUCCESS');
  expect(promtool(['check', 'rules', 'shop/shop.rules.yml'])).toContain('SUCCESS');
});

(amtoolBinary === undefined ? it.skip : it)(
  'sends what is wrong with Holdfast itself to its operators past it, and everything to Holdfast',
  () => {
    const file = join(stateDir, 'alertmanager.yml');
    // Alertmanager knows `url_file` since 0.26, and this amtool may be older
    writeFileSync(file, textOf('deploy/alertmanager.yml').replace(/url_file: \S+/, 'url: http://operators.example/'));
    const amtool = (...args: string[]): string => execFileSync('amtool', args, { encoding: 'utf8', stdio: 'pipe' });
    expect(amtool('check-config', file)).toContain('SUCCESS');
    const receivers = (alert: string): string =>
      amtool('config', 'routes', 'test', `--config.file=${file}`, `alertname=${alert}`, 'service=shop').trim();
    for (const { alert } of rules) expect([alert, receivers(alert)]).toEqual([alert, 'operators,holdfast']);
    expect(receivers('HighErrorRate')).toBe('holdfast');
  },
);

it('gives Prometheus and Alertmanager the secrets that their configurations name', () => {
  for (const service of ['prometheus', 'alertmanager']) {
    const named = [...textOf(`deploy/${service}.yml`).matchAll(/\/run\/secrets\/(\w+)/g)].map(([, name]) => name);
    expect(compose.services[service]?.secrets).toEqual(named);
  }
  expect(compose.services['alertmanager']?.networks).toContain('outside'); // where its operators are
});

it('has a test of each rule', () => {
  const tested = textOf('test/deploy/holdfast.rules.test.yml');
  expect(rules.map(({ alert }) => alert).filter((alert) => !tested.includes(`alertname: ${alert}\n`))).toEqual([]);
});

it('measures whatever its rules and its dashboard read, and traces the alert to its effect, once an incident was played', async () => {
  const id = 'incident.shop.database-connection-issues';
  const rig = await startCanaryRig({});
  try {
    await rig.forgetful();
    await rig.alert('DatabaseConnectionIssues', 'queries wait');
    const asked = () => readPages(rig.stateDir, { person: 'responder' }).find(({ code }) => code !== null);
    await rig.statusOnce(id, ({ phase }) => phase === 'waiting' && asked() !== undefined);
    await until(async () => (await rig.metrics()).gateway.includes('runs_open{kind="incident",phase="waiting"} 1'));
    await rig.client.workflow.getHandle(id).signal('approve', { by: 'responder', code: asked()?.code });
    const { runId } = await rig.statusOnce(id, ({ phase }) => phase === 'closed');
    const { gateway, worker } = await rig.metrics();
    const measured = new Set(`${gateway}\n${worker}`.match(/^\w+/gm));
    const read = [...rules.map(({ expr }) => expr), ...shown].flatMap(namesIn);
    expect([...new Set(read)].filter((name) => !measured.has(name))).toEqual([]);
    expect(worker).toMatch(/^holdfast_effects_total\{.*kind="end-sessions".*result="done".*\} 1$/m);
    expect(worker).toMatch(/^holdfast_approval_wait_seconds_count\{.*ending="decided".*\} 1$/m);
    expect(worker).toMatch(/^holdfast_runs_ended_total\{.*outcome="[a-z-]+".*\} 1$/m);
    expect(gateway).toMatch(/^holdfast_gateway_dispatch_lag_seconds_count 1$/m);
    if (prometheusBinary !== undefined) promtool(['check', 'metrics'], gateway);
    const spans = () => rig.world.told('/otel/v1/traces').flatMap((body) => spansIn(body));
    const ofRun = () => spans().filter(({ traceId }) => traceId === runId.replaceAll('-', ''));
    await until(() => ['alert', 'page', 'endSessions'].every((name) => ofRun().some((one) => one.name === name)));
  } finally {
    await rig.close();
  }
}, 240_000);
