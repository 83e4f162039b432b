/** The grant of one change: asked of `serviceControl` where its window is open, and told how it ended. */
import { condition, proxyActivities, proxyLocalActivities } from '@temporalio/workflow';
import type { DeploymentOrder } from '../contracts/index.ts';
import type { ChangeControl, DeploymentWindows } from '../contracts/ports.ts';
import { delivery, diagnostic } from './activity-options.ts';
import type { Kit } from './conduct.ts';
import { checkpoint, endWith } from './interruption.ts';

const BUSY_TRIES = 40;
const ASK_AGAIN_MS = 15_000;
/** A closed window or a freeze is asked about this often: each asking is ten events of a history that holds 51,200. */
const LOOK_AGAIN_MS = 60_000;
const MOST_ASKED = 3000;
/** What lasts for as long as a person wants it to. */
const HELD_FOR_GOOD: string[] = ['kill-switch', 'mode'];
const LONGEST_WAIT_MS = 60 * 60 * 1000;
const { requestChange, reportChange } = proxyActivities<ChangeControl>(delivery);
const { deploymentWindow } = proxyLocalActivities<DeploymentWindows>(diagnostic);

/** A change of an environment's release, asked of `serviceControl`: `running` serves now and serves again when it is undone. */
export interface Change {
  kind: 'deploy' | 'roll-back';
  version: string;
  digest?: string | undefined;
  running?: string | undefined;
  summary: string;
}

/** Looks at what has traffic: why it must not keep it, where that is so. `now` in ms since the epoch. */
export type Look = (now: number) => Promise<string | undefined>;

export function createGrant(
  { story, board }: Kit,
  order: DeploymentOrder,
  of: { holder: string; look: () => Look | undefined; onGranted: () => void },
) {
  const { service, environment } = order;
  const change = { service, environment, key: `${of.holder}:change` };
  const override = order.override !== undefined;
  let granted: Change | undefined;
  let told = '';

  const wait = (reason: string, at: string, until?: string): void => {
    if (reason !== told) story.tell('waiting', `Waiting: ${reason}`);
    told = reason;
    const deadline = new Date(Date.parse(at) + 2 * LONGEST_WAIT_MS).toISOString(); // it asks again before that
    story.set({ doing: `Waiting: ${reason}.`, deadline, ...(until !== undefined && { waitingUntil: until }) });
  };
  const windowFor = async ({ kind }: Change, at: string) =>
    kind === 'roll-back' || override
      ? { open: true, reason: '', until: undefined }
      : await deploymentWindow({ service, environment, at });

  return {
    /** What was granted and is not over. */
    granted: (): Change | undefined => granted,
    /** See `ProcedureRun.mayAct`. */
    async mayAct(asked: Change): Promise<number> {
      let busy = 0;
      for (let times = 1; ; times += 1) {
        await checkpoint(board);
        const at = new Date().toISOString();
        const window = await windowFor(asked, at);
        let { reason, until } = window;
        if (window.open) {
          const { kind, summary } = asked;
          const grant = await requestChange({
            ...change,
            holder: of.holder,
            kind,
            summary,
            override: override || kind === 'roll-back',
          });
          if (grant.granted) {
            granted = asked;
            if (told !== '') story.set({ phase: 'deploying' });
            told = '';
            of.onGranted();
            return grant.fence;
          }
          if (grant.because === 'superseded') return endWith({ outcome: 'superseded', note: grant.reason });
          if (grant.because === 'busy') busy += 1;
          const isHeld = busy > BUSY_TRIES && kind !== 'roll-back'; // that waits until whoever ordered it stops it
          if (HELD_FOR_GOOD.includes(grant.because) || isHeld || times > MOST_ASKED)
            return endWith({ outcome: granted === undefined ? 'refused' : 'rolled-back', note: grant.reason });
          ({ reason, until } = { until: undefined, ...grant });
          if (kind === 'roll-back' && grant.because === 'busy')
            reason += '; take that over, and this goes on when its act has ended';
        }
        wait(reason, at, until);
        const look = of.look();
        const longest = look !== undefined || (window.open && until === undefined) ? LOOK_AGAIN_MS : LONGEST_WAIT_MS;
        const again = busy > 0 ? Math.min(ASK_AGAIN_MS, 1000 * 2 ** busy) : longest;
        const left = until === undefined ? LONGEST_WAIT_MS : Math.max(1000, Date.parse(until) - Date.parse(at));
        await condition(() => board.ending !== undefined, Math.min(left, again));
        const why = board.ending === undefined ? await look?.(Date.now()) : undefined;
        if (why !== undefined) return endWith({ outcome: 'rolled-back', note: why });
      }
    },
    /** Tell how it ended, once. */
    async report(result: 'verified' | 'undone' | 'failed' | 'unverified', more: object = {}): Promise<void> {
      if (granted === undefined) return;
      await reportChange({ ...change, result, ...more }).catch(() =>
        story.tell('control', 'the safety authority could not be told; the grant ends by itself'),
      );
      granted = undefined;
    },
  };
}
