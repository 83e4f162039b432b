/**
 * PagerDuty, Events API v2. Each page is an alert of its own, so that none joins one that was acknowledged and wakes nobody; what
 * an announcement says of the run goes to all of its pages, which it names. `to` of a person names a routing key.
 * Source  developer.pagerduty.com, "Events API v2", "Send an alert event"; 429 by `Retry-After`.
 */
import { ApplicationFailure } from '@temporalio/common';
import { z } from 'zod';
import { pageKey, type Announcement, type Page } from '../contracts/index.ts';
import { failure } from '../errors.ts';
import { createHttp, request } from '../http.ts';
import { oneLine, plainText } from '../plain-text.ts';
import { defineChannel, idOf } from './channel.ts';
import { waysToAnswer } from './wording.ts';

const KEY_LENGTH = 255;
const ENTRY = /^[a-z0-9-]{1,40}=[A-Za-z0-9]+$/;
/** The address takes events by POST alone: a GET that is refused has reached it. */
const ANSWERED = ['Refused', 'NotFound'];
const ACTIONS = { open: undefined, acknowledged: 'acknowledge', closed: 'resolve' } as const;
const Accepted = z.object({ status: z.literal('success') });

/** `holdfast|<workflow id>|<run id>|…`, by which the alert source knows what Holdfast's own pages made, and of which run. */
function dedupKey({ workflowId, runId, key }: Pick<Page, 'workflowId' | 'runId' | 'key'>): string {
  const whole = ['holdfast', workflowId, runId, idOf(key)].join('|');
  return whole.length <= KEY_LENGTH ? whole : `holdfast|${idOf(workflowId, runId, key)}`;
}

export const pagerduty = defineChannel({
  name: 'pagerduty',
  env: z.object({
    /** `<name>=<integration key>`, comma separated. */
    HOLDFAST_PAGERDUTY_ROUTING_KEYS: z
      .string()
      .transform((text) => text.split(','))
      .pipe(z.array(z.string().regex(ENTRY, 'use <name>=<integration key>, comma separated')))
      .transform((entries) => new Map(entries.map((entry) => entry.split('=') as [string, string]))),
    PAGERDUTY_EVENTS_URL: z.url().default('https://events.pagerduty.com'),
  }),
  personal: false,
  singly: true,
  create({ HOLDFAST_PAGERDUTY_ROUTING_KEYS: keys, PAGERDUTY_EVENTS_URL: baseUrl }, { people }) {
    const http = createHttp({ what: 'PagerDuty', baseUrl });
    const send = async (to: string, event: object): Promise<void> => {
      const routingKey = keys.get(to);
      if (routingKey === undefined)
        throw failure('NotConfigured', `HOLDFAST_PAGERDUTY_ROUTING_KEYS has no key of the name "${to}"`);
      await http.send('POST', '/v2/enqueue', Accepted, { routing_key: routingKey, ...event });
    };
    return {
      check: {
        remedy: 'correct HOLDFAST_PAGERDUTY_ROUTING_KEYS, or let this host reach PAGERDUTY_EVENTS_URL',
        /** PagerDuty tells nobody whether a routing key is right but by an event, and none is sent. */
        async look() {
          for (const { name, channels } of people)
            for (const { via, to } of channels)
              if (via === 'pagerduty' && !keys.has(to))
                throw failure(
                  'NotConfigured',
                  `no routing key has the name "${to}", over which ${name} is to be paged`,
                );
          await request(new URL('/v2/enqueue', baseUrl).href, { what: 'PagerDuty' }).catch((error: unknown) => {
            if (!(error instanceof ApplicationFailure && ANSWERED.includes(error.type ?? ''))) throw error;
          });
          const names = [...keys.keys()].join(', ');
          return {
            says: `${new URL(baseUrl).hostname} answers; routing keys: ${names}. Only a page shows that they are right`,
          };
        },
      },
      /** Idempotent on the key: PagerDuty knows a repeat by it. */
      async page(delivery) {
        const { to, subject, text, service, environment, severity, level, person, workflowId, runId, link } = delivery;
        const details = { text: plainText(text), person, workflow: workflowId, run: runId };
        await send(to, {
          event_action: 'trigger',
          dedup_key: dedupKey(delivery),
          client: 'Holdfast',
          ...(link !== undefined && { client_url: link }),
          payload: {
            summary: oneLine(subject, 1024),
            source: `${service}.${environment}`,
            severity,
            component: service,
            group: environment,
            class: level,
            custom_details: { ...details, answer: waysToAnswer(delivery).join('\n') },
          },
        });
      },
      /** Acknowledges or resolves every page of the run; what PagerDuty does not know it passes over. */
      async announce({ workflowId, runId, state, paged = {} }: Announcement) {
        const action = ACTIONS[state];
        if (action === undefined) return;
        for (const [first, { person, times }] of Object.entries(paged))
          for (const { via, to } of people.find(({ name }) => name === person)?.channels ?? [])
            for (let number = 1; via === 'pagerduty' && number <= times; number += 1) {
              const key = dedupKey({ workflowId, runId, key: pageKey(first, number) });
              await send(to, { event_action: action, dedup_key: key });
            }
      },
    };
  },
});
