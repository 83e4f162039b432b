import { html } from 'hono/html';
import type { FreshnessReport } from '../../contracts/index.ts';
import type { Figures, FiguresReport } from '../../figures.ts';
import { spanOf } from '../../runbook/review-causes.ts';
import { page, table, type Html, type Viewer } from './layout.ts';

const COLUMNS = [
  '',
  'Incidents',
  'Repeats',
  'MTTD',
  'MTTA',
  'MTTR',
  'Approval wait',
  'Budget spent',
  'Steps done alone',
  'By people',
];

/** How long until what, of incidents; what the error budget went to; how fresh the runbooks are. */
export function figuresPage(
  viewer: Viewer,
  of: { figures: FiguresReport; fresh: FreshnessReport[]; unknown: string[] },
): Html {
  const { figures, fresh, unknown } = of;
  const { total, services, runbooks, rows, months, causes } = figures;
  const grouped = (all: Record<string, Figures>): Html[] => Object.entries(all).map(([name, one]) => row(name, one));
  const body = html`<h1>Figures</h1>
    <p class="soft">
      Incidents detected since ${figures.since.slice(0, 10)}; times are means: until detected, until the first person
      was heard of, until what helped was done, and from proposal to decision.
    </p>
    ${unknown.map((why) => html`<p class="unknown">${why}</p>`)}
    ${
      total.incidents === 0
        ? html`<p>There was no incident.</p>`
        : html`${table(COLUMNS, [row('all', total), ...grouped(services)])}
            <h2>By runbook</h2>
            ${table(COLUMNS, grouped(runbooks))}
            <h2>By month</h2>
            ${table(COLUMNS, grouped(months))}
            <h2>By runbook and month</h2>
            ${table(
              COLUMNS,
              rows.map((one) => row(`${one.month} ${one.service} ${one.runbook}`, one)),
            )}
            <h2>Error budget of thirty days by cause</h2>
            ${table(
              ['Cause', 'Known how', 'Incidents', 'Budget spent'],
              causes.map(
                ({ cause, state, incidents, budgetSpent }) =>
                  html`<tr>
                    <th scope="row">${cause}</th>
                    <td>${state}</td>
                    <td>${incidents}</td>
                    <td>${share(budgetSpent)}</td>
                  </tr>`,
              ),
            )}`
    }
    <h2>Freshness of runbooks</h2>
    ${fresh.length === 0 ? html`<p>Nothing is known yet: no worker has started the drills.</p>` : fresh.map(freshness)}`;
  return page(viewer, { title: 'Figures', here: '/figures', body });
}

const span = (ms: number | undefined): string => (ms === undefined ? '-' : spanOf(ms));
const share = (spent: number | undefined): string => (spent === undefined ? '-' : `${(spent * 100).toFixed(1)} %`);

const row = (name: string, of: Figures): Html =>
  html`<tr>
    <th scope="row">${name}</th>
    <td>${of.incidents}</td>
    <td>${of.repeats}</td>
    <td>${span(of.mttdMs)}</td>
    <td>${span(of.mttaMs)}</td>
    <td>${span(of.mttrMs)}</td>
    <td>${span(of.approvalWaitMs)}</td>
    <td>${share(of.budgetSpent)}</td>
    <td>${of.toil?.alone ?? '-'}</td>
    <td>${of.toil?.byPeople ?? '-'}</td>
  </tr>`;

const day = (at: string | undefined): string => at?.slice(0, 10) ?? 'never';
function freshness({ service, environment, staleAfter, runbooks }: FreshnessReport): Html {
  const rows = runbooks.map(
    ({ title, ranAt, drilledAt, stale, last }) =>
      html`<tr>
        <th scope="row">${title}</th>
        <td class="${stale ? 'warning' : 'ok'}">${stale ? 'stale' : 'fresh'}</td>
        <td>${day(ranAt)}</td>
        <td>${day(drilledAt)}</td>
        <td>${last?.passed === false ? html`<span class="bad">failed ${day(last.at)}: ${last.note}</span>` : ''}</td>
      </tr>`,
  );
  return html`<h3>${service} ${environment}</h3>
    <p class="soft">Stale after ${staleAfter} without a real run and without a drill that passed.</p>
    ${table(['Runbook', 'Now', 'Last needed', 'Last drilled', 'Last drill'], rows)}`;
}
