/**
 * Options of Node for a worker: V8 clears away early what a storm leaves behind. One of 10,000 alerts took a worker 958 MiB without
 * them and 498 with them. Each of its threads has such a heap of its own. Not for the gateway: beacons would wait for it.
 */
export const HEAP = ['--max-semi-space-size=2', '--max-old-space-size=256'];
