import { parseSettings } from '../../src/config.ts';
import { startMonitors } from '../../workers/monitors.ts';
import type { WatchOrder } from '../../workflows/index.ts';
import configuration from '../../holdfast.config.ts';
import { startTemporalRig } from '../gateway/temporal-rig.ts';

it('has the sources of alerts asked by the monitor of the first service that has one, and by no other', async () => {
  await using temporal = await startTemporalRig();
  const { services, ...rest } = parseSettings(configuration, {});
  const [shop] = services;
  const two = { ...rest, services: [{ name: 'quiet', environments: {} }, ...services, { ...shop!, name: 'mail' }] };
  await startMonitors(temporal.client, 'nobody', two);
  const ordered = async (service: string): Promise<WatchOrder> => {
    const events = (await temporal.client.workflow.getHandle(`monitor.${service}`).fetchHistory()).events ?? [];
    const signals = events.flatMap(
      ({ workflowExecutionSignaledEventAttributes: signal }) => signal?.input?.payloads ?? [],
    );
    return JSON.parse(Buffer.from(signals.at(-1)?.data ?? '').toString()) as WatchOrder;
  };
  const order = { every: '2 seconds', environments: ['production'] };
  expect(await ordered('shop')).toEqual({ ...order, askForAlerts: '2 minutes' });
  expect(await ordered('mail')).toEqual(order);
  await temporal.clear();
}, 60_000);
