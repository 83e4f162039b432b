/**
 * Options of Node for what others start and end: a process that exits while a thread of V8 compiles may never end, for the thread
 * waits for a collection of garbage that nobody makes any more, and the exit for the thread (nodejs/node#54918). Seen once in some
 * thousand exits, of a worker that could not start. Not to be set in a process that runs: V8 was seen to crash over that.
 */
export const EXIT = ['--no-concurrent-sparkplug', '--no-maglev-build-code-on-background'];

/**
 * Options of Node for a worker: V8 clears away early what a storm leaves behind. One of 10,000 alerts took a worker 958 MiB without
 * them and 498 with them. Each of its threads has such a heap of its own. Not for the gateway: beacons would wait for it.
 */
export const HEAP = ['--max-semi-space-size=2', '--max-old-space-size=256'];
