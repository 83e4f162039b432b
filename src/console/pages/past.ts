import { html } from 'hono/html';
import { runPath, type Status } from '../../contracts/index.ts';
import type { IncidentRecord, RecordedIncident } from '../../record.ts';
import { moment, page, type Html, type Viewer } from './layout.ts';
import { newestFirst } from './run.ts';

const SHOWN = 50;

/** What the record holds of incidents that were, newest first, searched by words. */
export async function pastPage(viewer: Viewer, record: IncidentRecord | undefined, query: string): Promise<Html> {
  const found = await record?.search({ text: query, limit: SHOWN }).catch(() => undefined);
  const body = html`<h1>Past incidents</h1>
    <form method="get" action="/past" role="search">
      <label for="q">Search in service, runbook, summary and outcome</label>
      <input id="q" name="q" type="search" value="${query}" maxlength="100" />
      <div class="row"><button>Search</button></div>
    </form>
    ${
      record === undefined
        ? html`<p>There is no record: set RECORD_SUPABASE_URL and RECORD_SUPABASE_SECRET_KEY.</p>`
        : found === undefined
          ? html`<p class="error">The record cannot be read at the moment.</p>`
          : found.length === 0
            ? html`<p>Nothing was found.</p>`
            : html`<ol class="timeline">
                ${found.map(line)}
              </ol>`
    }`;
  return page(viewer, { title: 'Past incidents', here: '/past', body });
}

/** An incident of which Temporal has nothing any more. */
export function recordedPage(viewer: Viewer, one: RecordedIncident & { timeline: Status['timeline'] }): Html {
  const title = `${one.runbook.replaceAll('-', ' ')} on ${one.service} ${one.environment}: ${one.summary}`;
  const body = html`<p class="soft">
      <span class="tag ${one.severity}">${one.severity}</span> · since ${moment(one.openedAt)} · as the record has it;
      Temporal keeps it no longer
    </p>
    <h1>${title}</h1>
    <p class="lead">
      <strong>${one.outcome === undefined ? one.phase : `Closed as ${one.outcome}.`}</strong> ${one.note ?? ''}
    </p>
    <h2>Timeline</h2>
    ${newestFirst(one.timeline)}`;
  return page(viewer, { title: title.slice(0, 80), here: '/past', body });
}

const line = (one: RecordedIncident): Html =>
  html`<li>
    <span class="soft">${moment(one.openedAt)}</span> <span class="tag">${one.outcome ?? one.phase}</span>
    <a href="${runPath(one)}"
      >${one.runbook.replaceAll('-', ' ')} on ${one.service} ${one.environment}: ${one.summary}</a
    >
    ${one.note === undefined ? '' : html`<br />${one.note}`}
  </li>`;
