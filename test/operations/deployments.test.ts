import type { Policy } from '../../src/contracts/index.ts';
import { startRun } from '../../src/operations/deployments.ts';
import type { Access } from '../../src/operations/temporal.ts';
import { settings } from '../activities/settings.ts';

/** Of a Temporal that starts whatever it is asked to. */
function accessIn(mode: Policy['mode']) {
  const started: unknown[] = [];
  const start = async (type: string) => {
    started.push(type);
    return { firstExecutionRunId: 'run' };
  };
  const withDeadline = async (_: number, call: () => Promise<unknown>) => await call();
  const services = settings.services.map(({ name, environments }) => ({
    name,
    environments: Object.fromEntries(Object.entries(environments).map(([one, of]) => [one, { ...of, mode }])),
  }));
  const access = {
    client: { connection: { withDeadline }, workflow: { start } },
    config: { HOLDFAST_TASK_QUEUE: 'holdfast' },
    settings: { ...settings, services },
  } as unknown as Access;
  return { access, started };
}
const order = { service: 'shop', environment: 'production', orderedBy: 'cli:responder' };
const KINDS = ['deployment', 'rollback'] as const;

it.each(KINDS)('begins a %s in mode act', async (kind) => {
  const { access, started } = accessIn('act');
  await expect(startRun(access, kind, order)).resolves.toMatchObject({ joined: false });
  expect(started).toEqual([kind === 'rollback' ? 'rollback' : 'productionDeployment']);
});

describe.each(['observe', 'propose'] as const)('in mode %s', (mode) => {
  it.each(KINDS)('refuses a %s before it begins, and names the remedy', async (kind) => {
    const { access, started } = accessIn(mode);
    await expect(startRun(access, kind, order)).rejects.toMatchObject({
      type: 'Refused',
      message: `shop is in mode ${mode} in production: Holdfast changes nothing there; set mode: 'act' for it in the configuration`,
    });
    expect(started).toEqual([]);
  });
});
