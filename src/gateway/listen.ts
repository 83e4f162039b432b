/**
 * Listening on one port by many sockets. Of a listening socket one connection is accepted in each turn of the loop, and a turn is
 * long while hundreds of browsers send: an alert's connection would wait for seconds behind those of theirs that came with it.
 * Source: libuv/libuv#3696, "don't accept() connections in a loop"; ip(7), socket(7), `SO_REUSEPORT`.
 */
import type { Server } from 'node:http';
import { createServer, type ListenOptions, type Server as Listener } from 'node:net';

const SOCKETS = 32;
const UNSHARED = ['ENOTSUP', 'EOPNOTSUPP', 'ENOPROTOOPT', 'EINVAL'];

const listening = (server: Listener, on: ListenOptions): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject).listen(on, () => {
      server.off('error', reject);
      resolve();
    });
  });
const closed = (server: Listener): Promise<void> => new Promise((resolve) => void server.close(() => resolve()));
const portOf = (server: Listener): number => {
  const address = server.address();
  return address === null || typeof address === 'string' ? 0 : address.port;
};

/**
 * Have a server listen; 0 is a free port. Where ports cannot be shared, as on macOS, it listens by one socket. `close` resolves once
 * the last connection has ended. @throws Error with code EADDRINUSE when another has the port.
 */
export async function listen(
  server: Server,
  { host, port: wanted }: { host: string; port: number },
): Promise<{ port: number; close: () => Promise<void> }> {
  const alone = createServer(); // a port that is to be shared is never taken to another of this user who shares it
  await listening(alone, { host, port: wanted });
  const port = portOf(alone);
  await closed(alone);
  const others: Listener[] = [];
  try {
    await listening(server, { host, port, reusePort: true });
    for (let i = 1; i < SOCKETS; i += 1) {
      const other = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => server.emit('connection', socket));
      await listening(other, { host, port, reusePort: true });
      others.push(other);
    }
  } catch (error) {
    if (!UNSHARED.includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    await listening(server, { host, port });
  }
  return { port, close: async () => void (await Promise.all([server, ...others].map(closed))) };
}
