import { html } from 'hono/html';
import type { Learned } from '../../contracts/index.ts';
import { searched } from '../../operations/reviews.ts';
import { moment, page, type Html, type Viewer } from './layout.ts';

const SHOWN = 100;

/** Where the page of a review is. */
export const reviewPath = ({ workflowId, runId }: { workflowId: string; runId: string }): string =>
  `/reviews/${encodeURIComponent(workflowId)}/${encodeURIComponent(runId)}`;

/** What was learned from what has ended, newest first; searched by words, with the action items that are open. */
export function reviewsPage(
  viewer: Viewer,
  of: { learned: Learned[]; unknown?: string | undefined; query: string },
): Html {
  const { learned, unknown, query } = of;
  const found = searched(learned, { search: query });
  const open = found.flatMap(({ openItems }) => openItems).length;
  const body = html`<h1>Reviews</h1>
    <form method="get" action="/reviews" role="search">
      <label for="q">Search in all that was learned</label>
      <input id="q" name="q" type="search" value="${query}" maxlength="100" />
      <div class="row"><button>Search</button></div>
    </form>
    <p role="status">${found.length} ${found.length === 1 ? 'review' : 'reviews'}, ${open} action items open.</p>
    ${unknown === undefined ? '' : html`<p class="unknown">${unknown}</p>`}
    <ol class="timeline">
      ${found.slice(0, SHOWN).map(line)}
    </ol>`;
  return page(viewer, { title: 'Reviews', here: '/reviews', body });
}

function line(one: Learned): Html {
  const { times, outcome, title, service, environment, summary, causes, openItems, state } = one;
  const [cause] = causes;
  return html`<li>
    <span class="soft">${moment(times.detectedAt)}</span> <span class="tag">${outcome}</span>
    <a href="${reviewPath(one)}">${title} on ${service} ${environment}: ${summary}</a>
    <br />${cause === undefined ? 'nothing is suspected' : `${cause.state}: ${cause.what}`} <br /><span class="soft"
      >${state}${openItems.length === 0 ? '' : `; open: ${openItems.map(({ title: says, owner }) => `${says} (${owner})`).join('; ')}`}</span
    >
  </li>`;
}
