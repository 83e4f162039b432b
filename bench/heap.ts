/**
 * Loaded into every thread of a benchmark's worker (`node --expose-gc --import ./bench/heap.ts`), because workflows live in a
 * thread of the SDK's own, which cannot be asked otherwise.
 */
import { once } from 'node:events';
import { isMainThread, BroadcastChannel } from 'node:worker_threads';

const QUESTION = 'heap?';
const channel = new BroadcastChannel('heap');
channel.unref();

/** Bytes of JavaScript that live in the thread of the workflows, after a collection. */
export async function workflowHeap(): Promise<number> {
  const answer = once(channel, 'message');
  channel.postMessage(QUESTION);
  const [{ data }] = (await answer) as [{ data: number }];
  return data;
}

if (!isMainThread)
  channel.onmessage = ({ data }) => {
    if (data !== QUESTION) return;
    globalThis.gc?.();
    globalThis.gc?.();
    channel.postMessage(process.memoryUsage().heapUsed);
  };
