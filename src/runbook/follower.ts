import { CancellationScope, condition, isCancellation, patched } from '@temporalio/workflow';

/** Keeps a copy of something elsewhere up to date: one write at a time, always of the newest, for as long as the other side is away. */
export interface Follower {
  /** Something has changed. */
  changed(): void;
  /** Whether the copy is of the newest revision. */
  isLevel(): boolean;
  /** Give up the write under way, so that another run can go on. */
  leave(): Promise<void>;
  written(): number;
}

export function createFollower(of: { revision: () => number; written: number; write: () => Promise<void> }): Follower {
  let { written } = of;
  let writing = false;
  const scope = new CancellationScope();
  const write = async (): Promise<void> => {
    while (of.revision() > written) {
      await Promise.resolve(); // what changes together is written together
      const revision = of.revision();
      await of.write();
      written = revision;
    }
  };
  let left = false;
  const follow = (): void => {
    if (writing || left) return;
    writing = true;
    void scope
      .run(write)
      .catch((error: unknown) => {
        if (!isCancellation(error)) throw error;
      })
      .finally(() => {
        writing = false;
        // it has changed since it was looked at last, and found this one writing
        if (!left && of.revision() > written && patched('follow-to-the-end')) follow();
      });
  };
  return {
    changed: follow,
    isLevel: () => !writing && written >= of.revision(),
    async leave() {
      left = true;
      scope.cancel();
      await condition(() => !writing);
    },
    written: () => written,
  };
}
