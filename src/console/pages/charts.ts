import { html } from 'hono/html';
import type { Measurement, Quantity, Status } from '../../contracts/index.ts';
import { moment, type Html } from './layout.ts';

/** A release older than this before the incident is not drawn: it would push everything else together. */
const SHOWN_BEFORE_MS = 60 * 60 * 1000;
/** A pause of so many usual ones between two readings is drawn as one. */
const PAUSE = 4;
/** Of a chart, in its own units; the plot is inside of the margins. */
const SIZE = { width: 340, height: 130, left: 46, right: 332, top: 26, bottom: 112 };

const QUANTITIES: Record<Quantity, { title: string; format: (value: number) => string }> = {
  'error-ratio': { title: 'Failed requests', format: (value) => `${Number((value * 100).toPrecision(2))} %` },
  'p95-ms': { title: 'Response time, p95', format: (value) => `${Math.round(value)} ms` },
  'pool-waiting': { title: 'Clients waiting for the pool', format: (value) => String(Math.round(value)) },
};

interface Mark {
  at: string;
  what: string;
}

/** What a run has read, with marks at release, alert, approval and recovery. An incident shows what it has not read too. */
export function charts(status: Status): Html | string {
  const { measurements = [], steps } = status;
  const measured = (quantity: Quantity): Measurement | undefined =>
    measurements.find((one) => one.quantity === quantity && one.points.length > 0);
  const quantities = (Object.keys(QUANTITIES) as Quantity[]).filter(
    (quantity) => steps === undefined || measured(quantity) !== undefined,
  );
  if (quantities.length === 0) return '';
  const marks = marksOf(status);
  const times = [...marks, ...measurements.flatMap(({ points }) => points)].map(({ at }) => Date.parse(at));
  const span = { from: Math.min(...times), until: Math.max(...times) };
  return html`<h2>Measured</h2>
    <div class="grid">${quantities.map((quantity) => chart(quantity, measured(quantity), marks, span))}</div>
    <ol class="marks" aria-label="Marks in the charts">
      ${marks.map(({ at, what }) => html`<li>${what}, ${moment(at, true)}</li>`)}
    </ol>`;
}

function marksOf({ running, alerts, incident, timeline }: Status): Mark[] {
  const began = alerts.since ?? incident.openedAt;
  const before = Date.parse(incident.openedAt) - SHOWN_BEFORE_MS;
  const of = (kind: string, what: string): Mark[] =>
    timeline
      .filter((line) => line.kind === kind)
      .map(({ at, who }) => ({ at, what: who ? `${what} by ${who}` : what }));
  return [
    ...(running === undefined ? [] : [{ at: running.deployedAt, what: `${running.version} released` }]),
    { at: began, what: alerts.since === undefined ? 'opened' : 'alert' },
    ...of('approved', 'approved'),
    ...of('verified', 'recovered'),
  ]
    .filter(({ at }) => Date.parse(at) >= before)
    .toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at));
}

function chart(
  quantity: Quantity,
  measured: Measurement | undefined,
  marks: Mark[],
  span: { from: number; until: number },
): Html {
  const { title, format } = QUANTITIES[quantity];
  if (measured === undefined)
    return html`<figure class="chart">
      <figcaption>${title}</figcaption>
      <p class="soft">No data: this run has not read it.</p>
    </figure>`;
  const { points, limit } = measured;
  const values = points.map(({ value }) => value);
  const top = Math.max(...values, limit ?? 0) * 1.1 || 1;
  const x = (at: string): number =>
    round(SIZE.left + ((Date.parse(at) - span.from) / (span.until - span.from || 1)) * (SIZE.right - SIZE.left));
  const y = (value: number): number => round(SIZE.bottom - (value / top) * (SIZE.bottom - SIZE.top));
  const said = [
    `${points.length} readings from ${points[0]?.at.slice(11, 19)} to ${points.at(-1)?.at.slice(11, 19)} UTC`,
    `first ${format(values[0] ?? 0)}, highest ${format(Math.max(...values))}, last ${format(values.at(-1) ?? 0)}`,
    ...(limit === undefined ? [] : [`limit ${format(limit)}`]),
  ].join('; ');
  return html`<figure class="chart">
    <figcaption>${title}: ${format(values.at(-1) ?? 0)}</figcaption>
    <svg viewBox="0 0 ${SIZE.width} ${SIZE.height}" role="img" aria-labelledby="${quantity}-title ${quantity}-said">
      <title id="${quantity}-title">${title}</title>
      <desc id="${quantity}-said">${said}</desc>
      <path class="axis" d="M${SIZE.left} ${SIZE.top}V${SIZE.bottom}H${SIZE.right}" />
      <text class="scale" x="${SIZE.left - 4}" y="${SIZE.bottom}">0</text>
      <text class="scale" x="${SIZE.left - 4}" y="${y(Math.max(...values)) + 4}">${format(Math.max(...values))}</text>
      ${limit === undefined ? '' : html`<path class="limit" d="M${SIZE.left} ${y(limit)}H${SIZE.right}" />`}
      ${marks.map(
        ({ at }, i) =>
          html`<path class="mark" d="M${x(at)} ${SIZE.top - 4}V${SIZE.bottom}" />
            <text class="number" x="${x(at)}" y="${i % 2 === 0 ? SIZE.top - 6 : SIZE.top - 16}">${i + 1}</text>`,
      )}
      ${lines(points).map(
        ({ from, to, paused }) =>
          html`<path
            class="${paused ? 'paused' : 'line'}"
            d="M${x(from.at)} ${y(from.value)}L${x(to.at)} ${y(to.value)}"
          />`,
      )}
      ${points.map(({ at, value }) => html`<circle class="point" cx="${x(at)}" cy="${y(value)}" r="2" />`)}
    </svg>
  </figure>`;
}

const round = (value: number): number => Math.round(value * 10) / 10;

/** From each reading to the next, and whether nobody looked in between. */
function lines(points: Measurement['points']) {
  const pairs = points.slice(1).map((to, i) => {
    const from = points[i] ?? to;
    return { from, to, ms: Date.parse(to.at) - Date.parse(from.at) };
  });
  const usual = pairs.map(({ ms }) => ms).toSorted((a, b) => a - b)[Math.floor(pairs.length / 2)] ?? 0;
  return pairs.map(({ from, to, ms }) => ({ from, to, paused: ms > PAUSE * usual }));
}
