import { createServer } from 'node:http';
import { Worker } from 'node:worker_threads';
import { listen } from '../../src/gateway/listen.ts';

const HOST = '127.0.0.1';
const answering = () => createServer((_, response) => void response.end('there'));
const ask = async (port: number): Promise<string> => await (await fetch(`http://${HOST}:${port}`)).text();

/** So many connections that a thread of its own opens, all of them in the kernel's queues before this one turns again. */
async function waiting(port: number, count: number): Promise<Worker> {
  const shared = new Int32Array(new SharedArrayBuffer(4));
  const connects = `
    const { workerData: { port, count, shared } } = require('node:worker_threads');
    for (let i = 0; i < count; i += 1)
      require('node:net').connect(port, '${HOST}', () => { Atomics.add(shared, 0, 1); Atomics.notify(shared, 0); });`;
  const worker = new Worker(connects, { eval: true, workerData: { port, count, shared } });
  await new Promise((resolve) => void worker.once('online', resolve));
  for (let seen = 0; seen < count; seen = Atomics.load(shared, 0)) Atomics.wait(shared, 0, seen, 1000);
  return worker;
}

const shared = process.platform === 'linux' ? it : it.skip;
shared('accepts many connections in one turn of its loop', async () => {
  const server = answering();
  const turns = new Map<number, number>();
  let [turn, accepted] = [0, 0];
  server.on('connection', () => {
    turns.set(turn, (turns.get(turn) ?? 0) + 1);
    accepted += 1;
  });
  const { port, close } = await listen(server, { host: HOST, port: 0 });
  const worker = await waiting(port, 200);
  while (accepted < 200) {
    await new Promise((resolve) => void setImmediate(resolve));
    turn += 1;
  }
  expect(Math.max(...turns.values())).toBeGreaterThan(8);
  expect(turns.size).toBeLessThan(60);
  await worker.terminate();
  server.closeAllConnections();
  await close();
});

it('answers whichever of its sockets a connection comes by, and frees the port when it is closed', async () => {
  const server = answering();
  const { port, close } = await listen(server, { host: HOST, port: 0 });
  const answers = await Promise.all(Array.from({ length: 100 }, () => ask(port)));
  expect(new Set(answers)).toEqual(new Set(['there']));
  server.closeAllConnections();
  await close();
  await expect(ask(port)).rejects.toThrow();
  const next = await listen(answering(), { host: HOST, port });
  expect(next.port).toBe(port);
  await next.close();
});

it('takes no port that another listens on, though that one shares it', async () => {
  const first = await listen(answering(), { host: HOST, port: 0 });
  await expect(listen(answering(), { host: HOST, port: first.port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  await first.close();
});
