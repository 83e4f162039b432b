import { html } from 'hono/html';
import type { Settings } from '../../contracts/index.ts';
import { localTime } from '../../local-time.ts';
import { onCallReport, type OnCallReport } from '../../operations/on-call.ts';
import { moment, page, table, type Html, type Viewer } from './layout.ts';

type Rota = OnCallReport['schedules'][number];
const NOBODY = html`<strong class="bad">nobody</strong>`;

/** Who is on call now by each level and schedule, the next hand-over, overrides and swaps to come, and gaps. */
export function onCallPage(viewer: Viewer, settings: Settings, now: number): Html {
  const { ladder, schedules, delegations } = onCallReport(settings, now);
  const { name } = viewer.principal;
  const mine = ladder.filter(({ people }) => people.includes(name)).map(({ level }) => words(level));
  const services = settings.services.map((one) => one.name).join(', ');
  const levels = ladder.map(
    ({ level, people, wait, schedule }) =>
      html`<tr>
        <th scope="row">${words(level)}</th>
        <td>
          ${people.length === 0 ? NOBODY : people.join(', ')}${schedule === undefined ? '' : html`<br /><span class="soft">by ${schedule}</span>`}
        </td>
        <td>${wait}</td>
      </tr>`,
  );
  const body = html`<h1>On call</h1>
    <p class="lead">${mine.length === 0 ? 'You are not on call now.' : `You are on call now: ${mine.join(', ')}.`}</p>
    <h2>Who is paged now</h2>
    <p class="soft">For ${services}. Who does not answer in time is followed by the next level.</p>
    ${table(['Level', 'Who', 'Waits'], levels)}
    ${delegations.map(({ person, to, until }) => html`<p>${to} decides instead of ${person}, and is asked to, until ${moment(until)}.</p>`)}
    ${entry(settings)}
    <h2>Schedules</h2>
    ${schedules.length === 0 ? html`<p>There is none: the levels name their people.</p>` : schedules.map(rota)}`;
  return page(viewer, { title: 'On call', here: '/on-call', body });
}

const words = (level: string): string => level.replaceAll('-', ' ');

function entry({ escalation: { entry: begins } }: Settings): Html | string {
  const lines = Object.entries(begins).map(([severity, level]) => `${severity}: ${words(level)}`);
  return lines.length === 0 ? '' : html`<p>By severity it begins at another level: ${lines.join('; ')}.</p>`;
}

function rota({ schedule, timeZone, now, until, next, overrides, swaps, gaps }: Rota): Html {
  const local = (at: string): Html => html`<time datetime="${at}">${localTime(Date.parse(at), timeZone)}</time>`;
  const list = <T>(title: string, all: T[], line: (one: T) => Html): Html | string =>
    all.length === 0
      ? ''
      : html`<dt>${title}</dt>
          <dd>
            <ul>
              ${all.map((one) => html`<li>${line(one)}</li>`)}
            </ul>
          </dd>`;
  return html`<section class="card" aria-label="Schedule ${schedule}">
    <h3>${schedule}</h3>
    <dl>
      <dt>Now</dt>
      <dd>${now ?? NOBODY}${until === undefined ? '' : html`, until ${local(until)}`}</dd>
      <dt>Next</dt>
      <dd>
        ${next === undefined ? 'no hand-over within 60 days' : html`${next.person ?? NOBODY}, from ${local(next.from)}`}
      </dd>
      ${list('Overrides', overrides, (one) => html`${one.person}, ${local(one.from)} until ${local(one.until)}${one.reason === undefined ? '' : `: ${one.reason}`}`)}
      ${list('Swaps', swaps, (one) => html`${one.between.join(' and ')}, ${local(one.from)} until ${local(one.until)}`)}
      <dt>Gaps</dt>
      <dd>
        ${
          gaps.length === 0
            ? 'none within 60 days'
            : html`<ul class="bad">
                ${gaps.map(({ from, until: end }) => html`<li>nobody, from ${local(from)} ${end === undefined ? 'on' : html`until ${local(end)}`}</li>`)}
              </ul>`
        }
      </dd>
    </dl>
  </section>`;
}
