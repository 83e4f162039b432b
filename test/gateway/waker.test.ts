import { scratch, post, runGateway, signedByGithub, type Running } from './rig.ts';
import { until } from '../support/until.ts';
import { startTemporalRig, TASK_QUEUE, type TemporalRig } from './temporal-rig.ts';

const DEPLOYMENT = 'deployment.mail.staging';

let temporal: TemporalRig;
jest.setTimeout(30_000);
beforeAll(async () => {
  temporal = await startTemporalRig();
});
afterAll(() => temporal[Symbol.asyncDispose]());
afterEach(() => temporal.clear());

const gatewayIn = ({ stateDir }: { stateDir: string }, address = temporal.address) =>
  runGateway({ stateDir, env: { TEMPORAL_ADDRESS: address } });
const workflowRun = (repository: string, action = 'completed', signed = true) => {
  const body = JSON.stringify({
    action,
    workflow_run: { id: 1, name: 'CI', head_branch: 'release/1.4.0', conclusion: 'success' },
    repository: { name: repository.split('/')[1], full_name: repository, default_branch: 'main' },
  });
  return (gateway: Running) => post(gateway.url, 'github', body, signedByGithub(signed ? body : '{}', 'workflow_run'));
};
/** A workflow of this id that stands open, and how often it was woken. */
async function open(workflowId: string) {
  const handle = await temporal.client.workflow.start('triage', { workflowId, taskQueue: TASK_QUEUE, args: [{}] });
  return async (): Promise<number> => {
    const { events = [] } = await handle.fetchHistory();
    return (events ?? []).filter((event) => event.workflowExecutionSignaledEventAttributes?.signalName === 'wake')
      .length;
  };
}

const isOpen = (workflowId: string): Promise<boolean> =>
  temporal.client.workflow
    .getHandle(workflowId)
    .describe()
    .then(
      ({ status }) => status.name === 'RUNNING',
      () => false,
    );

it('wakes the deployment that waits for a workflow of this repository, and none of another', async () => {
  await using folder = scratch();
  const [mail, shop] = [await open(DEPLOYMENT), await open('deployment.shop.production')];
  await using gateway = await gatewayIn(folder);
  expect(await workflowRun('Acme/mail')(gateway)).toMatchObject({ status: 202, body: { accepted: 0 } });
  await until(async () => (await mail()) === 1);
  expect(await shop()).toBe(0);
});

it('wakes nobody for a workflow that goes on, of another repository, or told of by a stranger', async () => {
  await using folder = scratch();
  const woken = await open(DEPLOYMENT);
  await using gateway = await gatewayIn(folder);
  await workflowRun('acme/mail', 'in_progress')(gateway);
  await workflowRun('acme/shop')(gateway);
  expect(await workflowRun('acme/mail', 'completed', false)(gateway)).toMatchObject({ status: 401 });
  await workflowRun('acme/mail')(gateway); // the only one that counts
  await until(async () => (await woken()) > 0);
  expect(await woken()).toBe(1);
});

it('answers as ever where no deployment runs, and while Temporal is away', async () => {
  await using folder = scratch();
  {
    await using gateway = await gatewayIn(folder);
    expect(await workflowRun('acme/mail')(gateway)).toMatchObject({ status: 202 });
  }
  await using gateway = await gatewayIn(folder, '127.0.0.1:1');
  expect(await workflowRun('acme/mail')(gateway)).toMatchObject({ status: 202 });
  await until(() => gateway.logged.some((line) => line.includes(`${DEPLOYMENT} was not woken`)));
  expect(await isOpen(DEPLOYMENT)).toBe(false);
});
