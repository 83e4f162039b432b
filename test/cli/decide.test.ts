import { PassThrough } from 'node:stream';
import { decide } from '../../src/cli/decide.ts';
import type { Context } from '../../src/cli/context.ts';
import { endedStatus } from '../support/ended.ts';

const status = endedStatus({ phase: 'waiting' });
const context = {
  client: {
    connection: { withDeadline: (_: number, call: () => unknown) => call() },
    workflow: { getHandle: () => ({ query: async () => status }) },
  },
} as unknown as Context;
const { stdin } = process;
afterEach(() => {
  Object.defineProperty(process, 'stdin', { value: stdin, configurable: true });
  jest.restoreAllMocks();
});

/** What standard error and standard output get while a person at a terminal answers. */
async function answering(verdict: 'approved' | 'declined', line: string) {
  const terminal = Object.assign(new PassThrough(), { isTTY: true });
  Object.defineProperty(process, 'stdin', { value: terminal, configurable: true });
  const written = { out: '', err: '' };
  const into = (stream: 'out' | 'err') => (text: unknown) => {
    written[stream] += String(text);
    return true;
  };
  jest.spyOn(process.stdout, 'write').mockImplementation(into('out'));
  jest.spyOn(process.stderr, 'write').mockImplementation(into('err'));
  jest.spyOn(console, 'log').mockImplementation(into('out'));
  jest.spyOn(console, 'error').mockImplementation(into('err'));
  terminal.write(`${line}\n`);
  await expect(decide(context, { id: status.workflowId, person: 'lead', verdict })).rejects.toMatchObject({
    message: 'nothing was decided',
    exitCode: 1,
  });
  return written;
}

it.each([
  ['approved', 'Approve it?'],
  ['declined', 'Reject it?'],
] as const)(
  'asks a person at a terminal on standard error, and leaves standard output to the answer: %s',
  async (verdict, question) => {
    const { out, err } = await answering(verdict, 'no');
    expect(err).toContain('Roll shop back from v2 to v1');
    expect(err).toContain(question);
    expect(out).toBe('');
  },
);
