import { heartbeat } from '@temporalio/activity';

const EVERY_MS = 1000;

/** The work of an activity with a heartbeat every second: a killed worker's attempt is taken up again within seconds. */
export async function beating<T>(work: () => Promise<T>): Promise<T> {
  const beats = setInterval(() => heartbeat(), EVERY_MS);
  try {
    return await work();
  } finally {
    clearInterval(beats);
  }
}
