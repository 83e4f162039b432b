import { sleep } from '@temporalio/workflow';
import { msToNumber } from '@temporalio/common/lib/time.js';
import type { Policy, Verdict } from '../contracts/index.ts';
import { checkpoint, type Switchboard } from './interruption.ts';
import type { Checked } from './run.ts';
import type { Story } from './story.ts';

const BLIND_AFTER = 5;

/**
 * A good reading must last: any other one starts the clock again. The first window is let pass, since it still holds what was
 * measured before the act. `unknown` readings never count as good; five in a row, or none good and none bad until the end, are `unknown`.
 */
export async function holds(of: {
  story: Story;
  board: Switchboard;
  policy: Policy;
  read: () => Promise<Checked<unknown>>;
}): Promise<Verdict> {
  const { windowSeconds, lasting, every } = of.policy.measure;
  await sleep(windowSeconds * 1000);
  const deadline = Date.now() + 3 * msToNumber(lasting);
  let goodSince: number | undefined;
  let blind = 0;
  let last: Verdict = 'unknown';
  for (;;) {
    await checkpoint(of.board);
    const now = Date.now(); // before the reading: a replay sees another time after it
    const { verdict, summary } = await of.read();
    if (verdict !== last) of.story.tell('measured', `Measured (${verdict}): ${summary}`);
    last = verdict;
    blind = verdict === 'unknown' ? blind + 1 : 0;
    goodSince = verdict === 'ok' ? (goodSince ?? now) : undefined;
    if (goodSince !== undefined && now - goodSince >= msToNumber(lasting)) return 'ok';
    if (blind >= BLIND_AFTER) return 'unknown';
    if (now >= deadline && goodSince === undefined) return last;
    await sleep(every);
  }
}
