import { isRunId, runPath } from '../contracts/index.ts';
import type { Delivery } from './channel.ts';

export const OPEN = 'Open it in the console';

/** Where the console shows a run, of whatever has a page there; without what the address may hold to sign in by. */
export const linkTo = (publicUrl: string | undefined, run: { workflowId: string; runId: string }): { link?: string } =>
  publicUrl === undefined || !isRunId(run.workflowId) ? {} : { link: new URL(publicUrl).origin + runPath(run) };

/** How a person answers a page from a terminal or the Temporal UI, line by line; there is nothing to answer where no run asks. */
export function waysToAnswer({ person, workflowId, asks, code, grouped }: Delivery): string[] {
  if (grouped !== undefined) return [`Each lies in your inbox: npm run -s holdfast -- inbox --as ${person}`];
  if (workflowId === '') return [];
  const command = (name: string, ...more: string[]): string =>
    ['npm run -s holdfast --', name, workflowId, '--as', person, ...more].join(' ');
  if (asks === undefined) return [`To say that you look at it: ${command('ack')}`];
  const signal = JSON.stringify({ by: person, code });
  return [
    `To decide, until ${asks.expiresAt}:`,
    command('approve', '--proposal', asks.digest.slice(0, 16)),
    command('reject', '--proposal', asks.digest.slice(0, 16)),
    ...(code === undefined ? [] : [`or in the Temporal UI the signal approve or reject with ${signal}`]),
  ];
}
