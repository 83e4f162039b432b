import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { html } from 'hono/html';
import type { Principal } from '../rights.ts';

export type Html = ReturnType<typeof html>;

const FILES = { 'console.css': 'text/css; charset=utf-8', 'live.js': 'text/javascript; charset=utf-8' } as const;
export interface Asset {
  path: string;
  type: string;
  text: string;
}

/** The files that pages load, at addresses that change with their content. */
export const ASSETS: Asset[] = Object.entries(FILES).map(([name, type]) => {
  const text = readFileSync(new URL(`../assets/${name}`, import.meta.url), 'utf8');
  const digest = createHash('sha256').update(text).digest('hex').slice(0, 12);
  return { path: `/assets/${digest}/${name}`, type, text };
});
const [STYLE, SCRIPT] = ASSETS.map(({ path }) => path);

/** Nothing but what is served from here; no script or style inside a page. */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "style-src 'self'",
  "script-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

export interface Viewer {
  principal: Principal;
  /** Goes into every form. */
  csrf: string;
}

const PAGES = [
  ['/', 'Now'],
  ['/deployments', 'Deployments'],
  ['/objectives', 'Objectives'],
  ['/on-call', 'On call'],
  ['/past', 'Past'],
  ['/reviews', 'Reviews'],
  ['/figures', 'Figures'],
] as const;

/** A page for somebody who has signed in. `live` is the stream that tells of its changes. */
export function page(
  viewer: Viewer,
  of: {
    title: string;
    here: string;
    body: Html;
    live?: { path: string; version: string; asks?: string | undefined };
    told?: string | undefined;
  },
): Html {
  const { title, here, body, live, told } = of;
  const links = PAGES.map(
    ([path, name]) => html`<a href="${path}" ${path === here ? html`aria-current="page"` : ''}>${name}</a>`,
  );
  const { name, rights } = viewer.principal;
  const audit = rights.has('administer')
    ? html`<a href="/audit" ${here === '/audit' ? html`aria-current="page"` : ''}>Audit</a>`
    : '';
  return frame(
    title,
    html`<header class="top">
        <nav aria-label="Holdfast">${links}${audit}</nav>
        <form method="post" action="/sign-out">${csrfField(viewer)}<button>Sign out ${name}</button></form>
      </header>
      ${
        live === undefined
          ? html`<main>${toldNote(told)}${body}</main>`
          : html`<main data-live="${live.path}" data-version="${live.version}" data-asks="${live.asks ?? ''}">
              ${toldNote(told)}${body}
            </main>`
      }`,
  );
}

export const csrfField = ({ csrf }: Viewer): Html => html`<input type="hidden" name="csrf" value="${csrf}" />`;

const toldNote = (told: string | undefined): Html | string =>
  told === undefined ? '' : html`<p class="card error" role="alert">${told}</p>`;

/** A page for whoever has not signed in. */
export const outside = (title: string, body: Html, told?: string): Html =>
  frame(
    title,
    html`<main class="narrow">
      <h1>${title}</h1>
      ${toldNote(told)}${body}
    </main>`,
  );

/** Strict cookies are not sent on the way here from another site: asked again from here, they are. */
export const again = (path: string): Html =>
  html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <title>Holdfast</title>
        <meta http-equiv="refresh" content="0; url=${path}" />
      </head>
      <body>
        <a href="${path}">Go on</a>
      </body>
    </html>`;

const frame = (title: string, body: Html): Html =>
  html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title} · Holdfast</title>
        <link rel="icon" href="data:," />
        <link rel="stylesheet" href="${STYLE}" />
        <script type="module" src="${SCRIPT}"></script>
      </head>
      <body>
        ${body}
      </body>
    </html>`;

/** A moment, for people: to the second within the timeline, to the minute elsewhere; the day where it is another. */
export function moment(at: string, seconds = false): Html {
  const day = at.slice(0, 10) === new Date().toISOString().slice(0, 10) ? '' : `${at.slice(0, 10)} `;
  return html`<time datetime="${at}">${day}${at.slice(11, seconds ? 19 : 16)} UTC</time>`;
}

/** How long until then. */
export function left(at: string): Html {
  const seconds = Math.max(0, Math.round((Date.parse(at) - Date.now()) / 1000));
  const text =
    seconds === 0 ? 'now' : seconds < 60 ? `in ${seconds} s` : `in ${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return html`<time datetime="${at}" data-left>${text}</time>`;
}

/** A table that scrolls by itself where it is wider than the screen. */
export const table = (columns: string[], rows: Html[]): Html =>
  html`<div class="scroll" tabindex="0" role="region" aria-label="${columns.join(', ')}">
    <table>
      <thead>
        <tr>
          ${columns.map((column) => html`<th scope="col">${column}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`;
