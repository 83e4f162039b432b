import { setFlagsFromString } from 'node:v8';

/**
 * A process that exits while a thread of V8 compiles may never end: the thread waits for a collection of garbage that nobody makes
 * any more, and the exit waits for the thread (nodejs/node#54918). Seen here once in some thousand exits, of a worker that could
 * not start. So neither Sparkplug nor Maglev makes code on another thread.
 */
for (const flag of ['--no-concurrent-sparkplug', '--no-maglev-build-code-on-background']) setFlagsFromString(flag);
