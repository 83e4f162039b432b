/**
 * Slack. A page is a direct message with the exact ask; an incident or deployment is one message in the channel that always shows
 * its newest state, with its story as the thread. Both are found again by the metadata that Slack keeps with them.
 * Scopes of the token: chat:write, im:write, im:history, channels:history (groups:history where the channel is private).
 */
import { z } from 'zod';
import { oneLine } from '../plain-text.ts';
import { defineChannel } from './channel.ts';
import { createSlack, SlackEnv, type Content } from './slack/api.ts';
import { buttons, fallback, linkBlock, paragraph } from './slack/blocks.ts';
import { OPEN, waysToAnswer } from './wording.ts';

const HOUR_MS = 60 * 60 * 1000;
/** No page is tried for longer than some minutes. */
const PAGE = { withinMs: HOUR_MS, atMost: 400 };
/** What lasts longer, or has more said after it, goes on in a message of its own. */
const INCIDENT = { withinMs: 14 * 24 * HOUR_MS, atMost: 1000 };
const SIGNS = { open: '🔴', acknowledged: '👀', closed: '✅' };

export const slack = defineChannel({
  name: 'slack',
  env: SlackEnv.extend({
    /** Id of the channel in which incidents are announced. */
    HOLDFAST_SLACK_CHANNEL: z.string().regex(/^[CG][A-Z0-9]+$/, 'use the id of the channel, such as C0123456789'),
  }),
  personal: true,
  create({ HOLDFAST_SLACK_CHANNEL: channel, ...env }) {
    const api = createSlack(env);
    return {
      /** Idempotent on the key: a message that a cut-short attempt left is found by it. */
      async page(delivery) {
        const {
          key,
          to,
          subject,
          text,
          service,
          environment,
          severity,
          level,
          workflowId,
          runId,
          asks,
          grouped,
          link,
        } = delivery;
        const metadata = { event_type: 'holdfast_page', event_payload: { key } };
        const conversation = await api.directMessages(to);
        if ((await api.find({ channel: conversation, ...PAGE }, metadata)) !== undefined) return;
        const ways = waysToAnswer(delivery);
        const about = `${severity}, ${service} ${environment}, ${level.replaceAll('-', ' ')}`;
        await api.post(conversation, {
          text: fallback(`${asks === undefined ? '' : 'Decide: '}${subject}`),
          blocks: [
            paragraph(oneLine(subject, 200), { bold: true }),
            paragraph(`${about}\n${text}`),
            ...(ways.length === 0 ? [] : [paragraph(ways.join('\n'))]),
            ...(link === undefined ? [] : [linkBlock(link, OPEN)]),
            ...(workflowId === '' || grouped !== undefined
              ? []
              : [buttons({ workflowId, runId, digest: asks?.digest })]),
          ],
          metadata,
        });
      },
      /** Idempotent on the run and `at`; what is older than what is shown changes nothing. */
      async announce({ workflowId, runId, at, state, severity, service, environment, subject, text, asks, link }) {
        const run = `${workflowId}/${runId}`;
        const shown = await api.find({ channel, ...INCIDENT }, { event_type: 'holdfast_run', event_payload: { run } });
        if (Date.parse(String(shown?.metadata?.event_payload['at'])) >= Date.parse(at)) return;
        const title = `${SIGNS[state]} ${oneLine(subject, 200)}`;
        const lines = [`${severity}, ${service} ${environment}, ${state}`, text];
        if (asks !== undefined) lines.push(`Asks until ${asks.expiresAt}: ${asks.summary}`);
        const content: Content = {
          text: fallback(title),
          blocks: [
            paragraph(title, { bold: true }),
            paragraph(lines.join('\n')),
            ...(link === undefined ? [] : [linkBlock(link, OPEN)]),
            ...(state === 'closed' ? [] : [buttons({ workflowId, runId, digest: asks?.digest })]),
          ],
          metadata: { event_type: 'holdfast_run', event_payload: { run, at } },
        };
        if (shown === undefined) return await api.post(channel, content);
        const line = { event_type: 'holdfast_line', event_payload: { run, at } };
        if ((await api.find({ channel, thread: shown.ts, ...INCIDENT }, line)) === undefined)
          await api.post(
            channel,
            { text: fallback(title), blocks: content.blocks.slice(0, 2), metadata: line },
            shown.ts,
          );
        await api.update(channel, shown.ts, content);
      },
    };
  },
});
