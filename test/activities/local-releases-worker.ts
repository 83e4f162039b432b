/** One release in a process of its own, to be killed. */
import { readFile } from 'node:fs/promises';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createActivities } from '../../activities/local-releases.ts';

const { variables, settings, order } = JSON.parse(await readFile(process.argv[2] ?? '', 'utf8')) as {
  variables: Parameters<typeof createActivities>[0];
  settings: Parameters<typeof createActivities>[1];
  order: Parameters<ReturnType<typeof createActivities>['release']>[0];
};
const activities = createActivities(variables, settings);
await new MockActivityEnvironment().run((of: typeof order) => activities.release(of), order);
