import { join } from 'node:path';
import { WebClient } from '@slack/web-api';
import { z } from 'zod';
import { freePort } from '../../src/embedded/ports.ts';
import { endProcess, startProcess } from '../../src/processes.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { until } from '../support/until.ts';

const Element = z.looseObject({ type: z.string(), text: z.unknown() });
const Shown = z.object({
  ts: z.string(),
  text: z.string(),
  thread_ts: z.string().optional(),
  blocks: z
    .array(
      z.looseObject({ type: z.string(), block_id: z.string().optional(), elements: z.array(z.unknown()).default([]) }),
    )
    .default([]),
});
export type Shown = z.output<typeof Shown>;
export interface ShownButton {
  action_id: string;
  value: string;
}

/** The texts of a message as people see them: rich text letter by letter. */
export const textsOf = ({ blocks }: Shown): string[] =>
  blocks
    .filter(({ type }) => type === 'rich_text')
    .map(({ elements }) =>
      z
        .array(
          z.object({
            type: z.literal('rich_text_section'),
            elements: z.array(Element.extend({ type: z.literal('text'), text: z.string() })),
          }),
        )
        .parse(elements)
        .flatMap((section) => section.elements.map(({ text }) => text))
        .join(''),
    );
export const buttonsOf = ({ blocks }: Shown): ShownButton[] =>
  blocks.filter(({ type }) => type === 'actions').flatMap(({ elements }) => elements as ShownButton[]);

/** A real `emulate` server of Slack in a process of its own, and what is to be seen on it. */
export async function startSlack() {
  const stateDir = scratchFolder();
  const port = await freePort();
  await startProcess({
    stateDir,
    name: 'slack',
    command: process.execPath,
    args: [join(__dirname, 'slack-emulator.ts'), String(port)],
  });
  const url = `http://127.0.0.1:${port}`;
  await until(() =>
    fetch(url).then(
      ({ ok }) => ok,
      () => false,
    ),
  );
  const reader = new WebClient('xoxb-reader', { slackApiUrl: `${url}/api/` });
  const { members = [] } = await reader.users.list({});
  const { channels = [] } = await reader.conversations.list({});
  const user = (name: string): string => members.find((one) => one.name === name)?.id ?? '';
  const channel = channels.find((one) => one.name === 'incidents')?.id ?? '';
  const shown = (messages: unknown): Shown[] => z.array(Shown).parse(messages);
  return {
    apiUrl: `${url}/api/`,
    channel,
    user,
    env: { HOLDFAST_SLACK_TOKEN: 'xoxb-holdfast', HOLDFAST_SLACK_CHANNEL: channel, SLACK_API_URL: `${url}/api/` },
    /** Newest first. */
    async messages(of: string = channel): Promise<Shown[]> {
      return shown((await reader.conversations.history({ channel: of })).messages);
    },
    async thread(ts: string, of: string = channel): Promise<Shown[]> {
      return shown((await reader.conversations.replies({ channel: of, ts })).messages);
    },
    async direct(name: string): Promise<string> {
      return (await reader.conversations.open({ users: user(name) })).channel?.id ?? '';
    },
    async [Symbol.asyncDispose]() {
      await endProcess(stateDir, 'slack');
      await removeScratch(stateDir);
    },
  };
}
export type SlackRig = Awaited<ReturnType<typeof startSlack>>;
