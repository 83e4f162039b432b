import { setTimeout as sleep } from 'node:timers/promises';

const EVERY_MS = 1000;
/** Whoever hears of a change loads the page anew: many do so one after the other, within a second. */
const [APART_MS, WITHIN_MS] = [20, 1000];

interface Topic {
  version: string | undefined;
  listeners: Set<(version: string) => void>;
}

/**
 * Tells listeners of a topic when its version changes. However many listen, a topic is read once a second, and not at all when
 * nobody listens.
 */
export function createLive() {
  const topics = new Map<string, Topic>();
  const stopped = new AbortController();

  const wait = (ms: number): Promise<void> => sleep(ms, undefined, { signal: stopped.signal }).catch(() => undefined);
  const follow = async (name: string, topic: Topic, read: () => Promise<string>): Promise<void> => {
    while (topics.get(name) === topic && !stopped.signal.aborted) {
      const version = await read().catch(() => undefined);
      if (version !== undefined && version !== topic.version) {
        topic.version = version;
        const apart = Math.min(APART_MS, WITHIN_MS / topic.listeners.size);
        for (const listener of topic.listeners) {
          listener(version);
          await wait(apart);
        }
      }
      await wait(EVERY_MS);
    }
  };
  return {
    stopped: stopped.signal,
    /** Hear the version of a topic now and whenever it changes. Returns how to stop listening. */
    listen(name: string, read: () => Promise<string>, listener: (version: string) => void): () => void {
      const topic: Topic = topics.get(name) ?? { version: undefined, listeners: new Set() };
      topic.listeners.add(listener);
      if (topic.version !== undefined) listener(topic.version);
      if (!topics.has(name)) {
        topics.set(name, topic);
        void follow(name, topic, read);
      }
      return () => {
        topic.listeners.delete(listener);
        if (topic.listeners.size === 0 && topics.get(name) === topic) topics.delete(name);
      };
    },
    stop: (): void => stopped.abort(),
  };
}
export type Live = ReturnType<typeof createLive>;
