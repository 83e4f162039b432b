import { html } from 'hono/html';
import { TREND_DAYS, type ObjectiveReport } from '../../contracts/index.ts';
import { monitored, objectivesOf, percent, times, trendDays } from '../../operations/objectives.ts';
import { asked, type Access } from '../../operations/temporal.ts';
import type { IncidentRecord } from '../../record.ts';
import { page, table, type Html, type Viewer } from './layout.ts';

const DAY_WIDTH = 6;
const HEIGHT = 32;

/** How the objectives of every watched service stand. */
export async function objectivesPage(
  viewer: Viewer,
  { client, settings }: Access,
  record: IncidentRecord | undefined,
): Promise<Html> {
  const services = await Promise.all(
    monitored(settings).map(async (service) => ({
      service,
      found: await asked(client, () => objectivesOf(client, service, record)).catch(() => undefined),
    })),
  );
  const unread = services.some(({ found }) => found?.unknown !== undefined);
  const body = html`<h1>Objectives</h1>
    ${unread ? html`<p class="error">The record cannot be read at the moment: trends lack its days.</p>` : ''}
    ${
      services.length === 0
        ? html`<p>No service is watched: give an environment of one "monitor: {}" in the configuration.</p>`
        : services.map(({ service, found }) =>
            found === undefined
              ? html`<h2>${service}</h2>
                  <p class="error">The monitor of ${service} does not answer at the moment.</p>`
              : found.reports.length === 0
                ? html`<h2>${service}</h2>
                    <p>Nothing is measured yet.</p>`
                : found.reports.map((report) => objective(service, report)),
          )
    }`;
  return page(viewer, { title: 'Objectives', here: '/objectives', body });
}

const objective = (service: string, report: ObjectiveReport): Html =>
  html`<section class="card">
    <h2>${service} / ${report.environment}: ${report.name}</h2>
    <dl>
      <dt>Objective</dt>
      <dd>${report.objective}</dd>
      <dt>Now</dt>
      <dd>${report.now ?? 'unknown'}</dd>
      <dt>Budget left</dt>
      <dd>${percent(report.budgetLeft)} of 30 days, ${report.measuredDays.toFixed(1)} of them measured</dd>
      <dt>Trend</dt>
      <dd>${trend(report)}</dd>
    </dl>
    ${table(
      ['Burn, and when it alerts', 'Long window', 'Short window'],
      report.burn.map(
        ({ name, long, short, factor, firing }) =>
          html`<tr>
            <th scope="row">${name}, ${factor}× ${firing ? html`<span class="tag">firing</span>` : ''}</th>
            <td>${times(long)}</td>
            <td>${times(short)}</td>
          </tr>`,
      ),
    )}
  </section>`;

/** One bar a day, as high as the share of what may be bad that was bad; a day without a bar was not measured. */
function trend({ name, allowed, trend: days }: ObjectiveReport): Html {
  const last = days.at(-1);
  if (last === undefined) return html`No day of the last ${TREND_DAYS} was measured`;
  const width = TREND_DAYS * DAY_WIDTH;
  const shown = trendDays();
  const bars = days.map(({ day, badShare }) => {
    const high = Math.max(1, Math.round(Math.min(1, badShare / allowed) * HEIGHT));
    return html`<rect
      x="${shown.indexOf(day) * DAY_WIDTH}"
      y="${HEIGHT - high}"
      width="${DAY_WIDTH - 1}"
      height="${high}"
    />`;
  });
  const told = `${days.length} of ${TREND_DAYS} days measured; ${percent(last.badShare)} bad on ${last.day}. A full bar is all that may be bad (${percent(allowed)}), and more.`;
  return html`<svg role="img" viewBox="0 0 ${width} ${HEIGHT}" width="${width}" height="${HEIGHT}" fill="currentColor">
      <title>${name}: bad share of the last ${TREND_DAYS} days</title>
      <desc>${told}</desc>
      <path d="M0 ${HEIGHT - 0.5}H${width}" stroke="currentColor" stroke-width="1" />
      ${bars}
    </svg>
    <p>${told}</p>`;
}
