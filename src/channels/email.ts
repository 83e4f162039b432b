/**
 * E-mail over SMTP, as plain text and HTML. SMTP cannot be asked what it took: what is sent again has the same Message-ID, and
 * everything about one run is one thread.
 * Source  RFC 5322 §3.6.4 (identification fields), RFC 3834 (`Auto-Submitted`).
 */
import { createTransport } from 'nodemailer';
import { z } from 'zod';
import { failure } from '../errors.ts';
import { oneLine, plainText } from '../plain-text.ts';
import { isLoopback } from '../production.ts';
import { defineChannel, idOf, type Looked } from './channel.ts';
import { OPEN, waysToAnswer } from './wording.ts';

/** Together they end before the activity that sends does, which has ten seconds. */
const TIMEOUTS_MS = { connectionTimeout: 2500, greetingTimeout: 2500, socketTimeout: 4000 };
const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escapeHtml = (text: string): string => text.replaceAll(/[&<>"']/g, (letter) => ENTITIES[letter] ?? letter);

interface Mail {
  to: string;
  id: string;
  run: string;
  subject: string;
  paragraphs: string[];
  link: string | undefined;
}

/** What the connection to a server is to be: nodemailer takes TLS where it is offered, and insists on it where it is told to. */
function looked(url: string): Looked {
  const { hostname, username, protocol, searchParams } = new URL(url);
  const says = `${hostname} answers${username === '' ? ', and asks nobody who they are' : ` and takes the sign-in of ${decodeURIComponent(username)}`}`;
  const insists = protocol === 'smtps:' || searchParams.get('requireTLS') === 'true';
  if (insists || username === '' || isLoopback(hostname)) return { says };
  const beware = {
    says: `HOLDFAST_SMTP_URL does not insist on TLS: whoever is between takes STARTTLS out and reads the password`,
    remedy: 'use smtps://, or add ?requireTLS=true',
  };
  return { says, beware };
}

/** SMTP reply to failure: 4yz may be tried again, 5yz may not. Source: RFC 5321 §4.2.1. */
function failureFrom(error: unknown): Error {
  const { code = '', responseCode, message } = error as { code?: string; responseCode?: number; message: string };
  const what = `SMTP: ${message.slice(0, 300)}`;
  if (responseCode !== undefined && responseCode < 500) return failure('Unavailable', what);
  if (['EAUTH', 'ENOAUTH', 'EOAUTH2'].includes(code)) return failure('NotAllowed', what);
  return failure(responseCode !== undefined || code === 'EENVELOPE' ? 'Refused' : 'Unavailable', what);
}

export const email = defineChannel({
  name: 'email',
  env: z.object({
    HOLDFAST_SMTP_URL: z.url({ protocol: /^smtps?$/, error: 'use smtp://… or smtps://…' }),
    HOLDFAST_MAIL_FROM: z.email(),
    /** The list that follows incidents, where there is one. */
    HOLDFAST_MAIL_LIST: z.email().optional(),
  }),
  personal: true,
  create({ HOLDFAST_SMTP_URL: url, HOLDFAST_MAIL_FROM: from, HOLDFAST_MAIL_LIST: list }) {
    const smtp = createTransport({
      url,
      ...TIMEOUTS_MS,
      disableFileAccess: true,
      disableUrlAccess: true,
    });
    const idWith = (id: string): string => `<${id}@${from.slice(from.lastIndexOf('@') + 1)}>`;
    const send = async ({ to, id, run, subject, paragraphs, link }: Mail): Promise<void> => {
      const shown = paragraphs.filter((text) => text !== '').map(plainText);
      const html = shown.map((text) => `<p style="white-space: pre-wrap">${escapeHtml(text)}</p>`);
      if (link !== undefined) {
        shown.push(`${OPEN}: ${link}`);
        html.push(`<p><a href="${escapeHtml(link)}">${OPEN}</a></p>`);
      }
      await smtp
        .sendMail({
          from: { name: 'Holdfast', address: from },
          to: { name: '', address: to },
          messageId: idWith(id),
          references: idWith(run),
          subject: oneLine(subject, 200),
          text: shown.join('\n\n'),
          html: `<!doctype html>\n<meta charset="utf-8">\n${html.join('\n')}\n`,
          headers: { 'Auto-Submitted': 'auto-generated' },
        })
        .catch((error: unknown) => {
          throw failureFrom(error);
        });
    };
    return {
      check: {
        remedy:
          'correct HOLDFAST_SMTP_URL (smtp://user:password@host:port, smtps:// for TLS), or let this host reach it',
        /** Connects, says EHLO, changes to TLS and signs in, as the URL says; sends no mail. */
        async look() {
          await smtp.verify().catch((error: unknown) => {
            throw failureFrom(error);
          });
          return looked(url);
        },
      },
      async page(delivery) {
        const { key, to, subject, text, service, environment, severity, level, workflowId, runId, asks, link } =
          delivery;
        const about = `${severity}, ${service} ${environment}, ${level.replaceAll('-', ' ')}`;
        await send({
          to,
          id: idOf(key),
          run: idOf(workflowId, runId),
          subject: `[${severity}] ${asks === undefined ? '' : 'Decide: '}${subject}`,
          paragraphs: [subject, about, text, waysToAnswer(delivery).join('\n')],
          link,
        });
      },
      ...(list !== undefined && {
        async announce({ workflowId, runId, at, state, severity, service, environment, subject, text, asks, link }) {
          const about = `${severity}, ${service} ${environment}, ${state}, ${at}`;
          await send({
            to: list,
            id: idOf(workflowId, runId, at),
            run: idOf(workflowId, runId),
            subject: `[${state}] ${subject}`,
            paragraphs: [
              subject,
              about,
              text,
              ...(asks === undefined ? [] : [`Asks until ${asks.expiresAt}: ${asks.summary}`]),
            ],
            link,
          });
        },
      }),
    };
  },
});
