import { readAudit } from '../../src/audit.ts';
import type { Review, Status } from '../../src/contracts/index.ts';
import { startDrills } from '../../workers/digests.ts';
import { until } from '../support/until.ts';
import { startConsole, type ConsoleRig } from './rig.ts';
import { settings } from './settings.ts';

const EVIL = `<script>alert(1)</script><img src=x onerror=alert(1)>" autofocus onfocus="x`;
let rig: ConsoleRig;
let ended: Status;
let path: string;
const id = () => `review.${ended.workflowId}.${ended.runId}`;
const review = () => rig.client.workflow.getHandle(id()).query<Review>('review');

beforeAll(async () => {
  rig = await startConsole({ ports: { affectedUsers: async () => ({ count: 12, sampled: false }) } });
  const open = await rig.waiting({ summary: EVIL });
  const approver = rig.visitor('approver');
  const at = `/runs/${open.workflowId}/${open.runId}`;
  await approver.send(at, `${at}/decide`, { verdict: 'approved' });
  ended = await rig.ended(open);
  path = `/reviews/${ended.workflowId}/${ended.runId}`;
  await until(async () => (await review().catch(() => undefined))?.document !== undefined);
}, 180_000);
afterAll(() => rig[Symbol.asyncDispose]());

it('lists the reviews, finds them by words, and shows text from alerts as text', async () => {
  const viewer = rig.visitor('viewer');
  await until(async () => (await viewer.get('/reviews')).text.includes(path));
  const { text } = await viewer.get('/reviews?q=ROLL-back');
  expect(text).toContain('1 review,');
  expect(text).toContain('suspected: the release v2');
  expect(text).not.toMatch(/<script>|<img|" autofocus/);
  expect((await viewer.get('/reviews?q=nothing-like-it')).text).toContain('0 reviews,');
});

it('shows what was lost, what is suspected and what is left to do, and answers only for those who may', async () => {
  const viewer = await rig.visitor('viewer').get(path);
  expect(viewer.status).toBe(200);
  expect(viewer.text).toMatch(/Users who met an error<\/dt>\s*<dd>12</);
  expect(viewer.text).toContain(`document postmortems/${id()}.md at commit-`);
  for (const { what } of (await review()).causes) expect(viewer.text).toContain(what);
  for (const { title } of (await review()).actionItems) expect(viewer.text).toContain(title);
  expect(viewer.text).not.toContain(`action="${path}/cause"`);
  expect(viewer.text).not.toMatch(/<script>|<img|" autofocus/);
  expect((await rig.visitor('viewer').get('/reviews/incident.shop.none/run')).status).toBe(404);
  expect((await rig.visitor('viewer').get('/reviews/control.shop/run')).status).toBe(404);
});

it('takes the word of a person on the cause, with what was suspected before', async () => {
  const lead = rig.visitor('lead');
  const nothing = await lead.send(path, `${path}/cause`, { cause: '', words: ' ' });
  expect(nothing.status).toBe(409);
  expect(nothing.text).toContain('choose a cause, or say it in words');
  const [suspected] = (await review()).causes;
  await lead.send(path, `${path}/cause`, { cause: suspected?.id ?? '', reason: 'seen in the diff' });
  const corrected = await lead.send(path, `${path}/cause`, { cause: '', words: 'the price was renamed' });
  expect(corrected.status).toBe(303);
  const { decisions, causes } = await review();
  expect(causes[0]).toMatchObject({ what: 'the price was renamed', state: 'confirmed' });
  expect(decisions).toMatchObject([
    { by: 'lead', cause: suspected?.what, reason: 'seen in the diff' },
    { by: 'lead', cause: 'the price was renamed', before: [`${suspected?.what} (confirmed)`] },
  ]);
  const { text } = await lead.get(path);
  expect(text).toContain(`Before that: ${suspected?.what} (confirmed)`);
  expect(readAudit(rig.stateDir, 5)[0]).toMatchObject({ who: 'lead', what: 'confirm cause', on: id(), result: 'done' });
});

it('gives an action item to another with more time, and closes it', async () => {
  const responder = rig.visitor('responder');
  const item = (await review()).actionItems.find(
    ({ state, id: name }) => state === 'open' && name !== 'confirm-the-cause',
  );
  const form = `${path}/items/${item?.id}`;
  await responder.send(path, `${form}/change`, { owner: 'cto', due: '2030-01-02' });
  const now = async () => (await review()).actionItems.find((one) => one.id === item?.id);
  expect(await now()).toMatchObject({ owner: 'cto', dueAt: '2030-01-02T00:00:00.000Z' });
  const nobody = await responder.send(path, `${form}/change`, { owner: 'stranger', due: '2030-01-02' });
  expect(nobody.status).toBe(403);
  expect(nobody.text).toContain('is nobody in the configuration');
  expect((await responder.send(path, `${form}/change`, { owner: 'cto', due: 'soon' })).status).toBe(409);
  await responder.send(path, `${form}/close`, { text: 'fixed in 1.4.1' });
  expect(await now()).toMatchObject({ state: 'done', closedBy: 'responder', note: 'fixed in 1.4.1' });
});

it('shows figures of incidents, and how fresh the runbooks are', async () => {
  const viewer = rig.visitor('viewer');
  expect((await viewer.get('/figures')).text).toContain('no worker has started the drills');
  await startDrills(rig.client, 'holdfast', settings);
  await until(async () => (await viewer.get('/figures')).text.includes('<h3>shop production</h3>'));
  const { text } = await viewer.get('/figures');
  expect(text).toMatch(new RegExp(`${new Date().toISOString().slice(0, 7)} shop high-error-rate</th>\\s*<td>1</td>`));
  expect(text).toContain('the price was renamed');
  expect(text).toMatch(/High error rate<\/th>\s*<td class="warning">stale/);
});
