import type { z } from 'zod';
import { createActivities } from '../../activities/deployment-windows.ts';
import { Settings, type Windows } from '../../src/contracts/index.ts';
import { settings } from './settings.ts';

export type Configured = z.input<typeof Windows>;

/** Ask, at a moment, the provider of an environment with these windows. */
export function asking(windows: Configured) {
  const production = { url: 'http://127.0.0.1:4180', deployment: { windows } };
  const services = [{ name: 'shop', environments: { production } }];
  const activities = createActivities({}, Settings.parse({ ...settings, services }));
  return (at: string) => activities.deploymentWindow({ service: 'shop', environment: 'production', at });
}
