/** One activity in a process of its own, to be killed: `node activity-process.ts <file with the request>`. */
import { readFile } from 'node:fs/promises';
import { MockActivityEnvironment } from '@temporalio/testing';
import type { ActivityRequest } from './killed.ts';

const request = JSON.parse(await readFile(process.argv[2] ?? '', 'utf8')) as ActivityRequest;
const { provider, activity, variables, settings, argument } = request;
const { createActivities } = (await import(`../../activities/${provider}.ts`)) as {
  createActivities: (variables: object, settings: object) => Record<string, (argument: object) => Promise<unknown>>;
};
const act = createActivities(variables, settings)[activity];
if (act === undefined) throw new Error(`${provider} has no activity ${activity}`);
await new MockActivityEnvironment().run(act, argument).catch((error: unknown) => {
  console.error(String(error));
  process.exit(1);
});
