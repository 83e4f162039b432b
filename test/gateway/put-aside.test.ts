/** What a sender signed and nobody can act on: it is kept, a person is told, and it need not be sent again. */
import * as rig from './rig.ts';
import { forEachTest } from './process-rig.ts';
import { until } from '../support/until.ts';

const of = forEachTest();

it.each([
  ['says nothing of its incident', {}],
  ['names a run that cannot be one', { id: 'Q1', incident_key: 'holdfast|incident.shop.triage|no-run|0' }],
])("puts aside an acknowledgement of PagerDuty's that %s, and tells a person", async (_, data) => {
  const { address } = of.temporal;
  await using gateway = await rig.runGateway({ stateDir: of.stateDir, env: { TEMPORAL_ADDRESS: address } });
  const body = JSON.stringify({ event: { event_type: 'incident.acknowledged', data } });
  expect(await rig.post(gateway.url, 'pagerduty', body, rig.signedByPagerduty(body))).toMatchObject({
    status: 202,
    body: { accepted: 0 },
  });
  expect((await gateway.get('/readyz')).text).toContain('"aside":1');
  await until(() => of.temporal.exists('incident.unrouted.triage'));
});
