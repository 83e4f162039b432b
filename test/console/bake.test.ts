import { bakeTimer } from '../../src/console/pages/bake.ts';
import type { Status, Step } from '../../src/contracts/index.ts';
import { endedStatus } from '../support/ended.ts';
import { settings } from './settings.ts';

const CANARY = 'Canary with 5 % of the traffic';
const ago = (seconds: number): string => new Date(Date.now() - seconds * 1000).toISOString();
const shown = async (step: Partial<Step>, change: Partial<Status> = {}): Promise<string> => {
  const steps: Step[] = [{ name: CANARY, state: 'running', ...step }];
  return (await bakeTimer(endedStatus({ doing: `${CANARY}.`, steps, ...change }), settings)).toString();
};

it.each([
  [
    'counts from the moment at which its step began',
    { at: ago(60) },
    {},
    /^<p>Bakes until .* at the earliest, .*in [89] min \d+ s/,
  ],
  ['says that the time is over', { at: ago(601) }, {}, /Its bake time was over at /],
  [
    'knows no end where the step had to wait',
    { at: ago(60) },
    { doing: 'Waiting: production is frozen.' },
    /^<p>Bakes for 10 minutes.<\/p>$/,
  ],
  ['is not there before', { state: 'planned' as const }, {}, /^$/],
  ['is not there after', { at: ago(60), state: 'done' as const }, {}, /^$/],
  ['is not there for another step', { at: ago(60), name: 'Run smoke tests' }, {}, /^$/],
])('the bake timer %s', async (_, step, change, text) => expect(await shown(step, change)).toMatch(text));
