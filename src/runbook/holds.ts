import { sleep } from '@temporalio/workflow';
import { msToNumber } from '@temporalio/common/lib/time.js';
import type { Policy, Verdict } from '../contracts/index.ts';
import { checkpoint, type Switchboard } from './interruption.ts';
import type { Checked } from './run.ts';
import type { Story } from './story.ts';

const BLIND_AFTER = 5;

/**
 * A good reading must last: any other one starts the count again. The first window is let pass, since it still holds what was
 * measured before the act. `unknown` readings never count as good; five in a row, or none good and none bad until the end, are `unknown`.
 * Looks are counted, `every` apart, and not the time: what passes while nobody looks (no worker is there, the run is paused) counts
 * neither as good nor towards the end, and a worker that takes a run up may see another time than a replay does.
 */
export async function holds(of: {
  story: Story;
  board: Switchboard;
  policy: Policy;
  /** What is measured fills slowly: only the end of all waiting makes it `unknown`. */
  patient?: boolean | undefined;
  read: () => Promise<Checked<unknown>>;
}): Promise<Verdict> {
  const { windowSeconds, lasting, every } = of.policy.measure;
  const enough = Math.ceil(msToNumber(lasting) / msToNumber(every));
  const longestMs = windowSeconds * 1000 + 4 * msToNumber(lasting); // what is good at the last moment has yet to last
  of.story.set({ phase: of.story.status.phase, waitingUntil: new Date(Date.now() + longestMs).toISOString() });
  await sleep(windowSeconds * 1000);
  let [good, blind] = [0, 0];
  let last: Verdict = 'unknown';
  for (let looks = 0; ; looks += 1) {
    await checkpoint(of.board);
    const at = new Date().toISOString();
    const { verdict, summary, seen } = await of.read();
    of.story.measure(seen, at);
    if (verdict !== last) of.story.tell('measured', `Measured (${verdict}): ${summary}`);
    last = verdict;
    blind = verdict === 'unknown' ? blind + 1 : 0;
    good = verdict === 'ok' ? good + 1 : 0;
    if (good > enough) return 'ok';
    if (blind >= BLIND_AFTER && of.patient !== true) return 'unknown';
    if (looks >= 3 * enough && good === 0) return last;
    await sleep(every);
  }
}
