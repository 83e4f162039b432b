import { html } from 'hono/html';
import { runPath, type Settings } from '../../contracts/index.ts';
import { isSecondLook } from '../../operations/runs.ts';
import type { EnvironmentHealth } from '../../operations/services.ts';
import type { Board, OpenRun } from '../board.ts';
import { left, moment, page, type Html, type Viewer } from './layout.ts';
import { ifNobody, openProposal } from './proposal.ts';
import { sentence } from './run.ts';

/** The page at `/`: what is open, what waits for whom and until when, how the services are. */
export function nowPage(viewer: Viewer, board: Board, settings: Settings): Html {
  const { name } = viewer.principal;
  const mine = (run: OpenRun): boolean => run.waitingFor.includes(name);
  const first = (runs: OpenRun[]): OpenRun[] => [...runs.filter(mine), ...runs.filter((run) => !mine(run))];
  const cards = (runs: OpenRun[]) => first(runs).map((run) => card(run, name, settings));
  const waiting = [...board.incidents, ...board.deployments].filter(mine).length;
  const [looks, incidents] = [
    board.incidents.filter(isSecondLook),
    board.incidents.filter((run) => !isSecondLook(run)),
  ];
  const body =
    board.away === undefined
      ? html`<p class="lead" role="status">${summary({ ...board, incidents }, waiting)}</p>
          ${
            looks.length === 0
              ? ''
              : html`<h2>Approved by one person alone: to be looked at</h2>
                  ${cards(looks)}`
          }
          <h2>Open incidents</h2>
          ${incidents.length === 0 ? html`<p>No incident is open.</p>` : cards(incidents)}
          <h2>Deployments under way</h2>
          ${board.deployments.length === 0 ? html`<p>None.</p>` : cards(board.deployments)}
          <h2>Services</h2>
          ${servicesList(board)}`
      : html`<p class="lead error" role="status">
          ${board.away}. Alerts are accepted and kept until it is back; what runs goes on then.
        </p>`;
  return page(viewer, {
    title: waiting > 0 ? `${waiting} asked of you` : 'Now',
    here: '/',
    body: html`<h1>Now</h1>
      ${body}`,
    live: { path: '/live', version: board.version },
  });
}

function summary({ incidents, deployments }: Board, waiting: number): Html {
  const count = (number: number, what: string) => `${number} ${what}${number === 1 ? '' : 's'}`;
  const open = `${count(incidents.length, 'open incident')}, ${count(deployments.length, 'deployment')} under way.`;
  return waiting === 0
    ? html`Nothing waits for you. ${open}`
    : html`<strong>${waiting} waits for you.</strong> ${open}`;
}

function card(run: OpenRun, me: string, settings: Settings): Html {
  const { status, severity, waitingFor } = run;
  const proposal = status === undefined ? undefined : openProposal(status);
  const asked = waitingFor.includes(me) ? 'Asked of you' : `Asked of ${waitingFor.join(', ')}`;
  const title = status === undefined ? run.workflowId : sentence(status);
  return html`<article class="${waitingFor.includes(me) ? 'ask' : 'card'}">
    <p><span class="tag ${severity}">${severity}</span> <a href="${runPath(run)}">${title}</a></p>
    ${
      status === undefined
        ? html`<p class="soft">${run.phase}; no worker tells more at the moment</p>`
        : proposal === undefined
          ? html`<p>${status.paused ? 'Paused. ' : ''}${status.doing}</p>`
          : html`<p><strong>${asked}:</strong> ${proposal.summary}</p>
              <p class="soft">${ifNobody(status, settings)}</p>`
    }
    <p class="soft">since ${moment(run.startedAt)}</p>
  </article>`;
}

function servicesList(board: Board): Html {
  const { services, incidents, deployments } = board;
  const cards = services.flatMap(({ service, environments, killSwitch, unknown }) =>
    environments.map(
      (one) =>
        html`<section class="card" aria-label="${service} ${one.environment}">
          <h3>${service} / ${one.environment}</h3>
          <dl>
            <dt>Now</dt>
            <dd>
              ${stateOf(one)}${killSwitch?.on ? html`<br /><span class="bad">kill switch on: ${killSwitch.reason}</span>` : ''}
            </dd>
            <dt>Runs</dt>
            <dd>
              ${runningNow(one.ledger, [...incidents, ...deployments])}${unknown.length > 0 ? html`<br /><span class="unknown">cannot read ${unknown.join(', ')}</span>` : ''}
            </dd>
            <dt>Objective</dt>
            <dd>errors &lt; ${one.objectives.errorRatio * 100} %, p95 &lt; ${one.objectives.p95Ms} ms</dd>
          </dl>
        </section>`,
    ),
  );
  return html`<div class="grid">${cards}</div>`;
}

/** The release that the ledger knows, and the change that may have replaced it and is not verified yet. */
export function runningNow(ledger: EnvironmentHealth['ledger'], open: OpenRun[]): Html {
  const change = ledger?.changes.find(
    ({ result, leaseEndsAt }) =>
      result === 'open' && (leaseEndsAt === undefined || Date.parse(leaseEndsAt) > Date.now()),
  );
  const running = ledger?.running ?? 'not known';
  if (change === undefined) return html`${running}`;
  const holder = open.find(({ workflowId, runId }) => change.holder === `${workflowId}/${runId}`);
  const verifies = (holder?.status?.phase ?? holder?.phase) === 'verifying';
  return html`${running}<br /><span class="warning"
      >${verifies ? 'being verified' : 'under way'}: ${change.summary}</span
    >`;
}

function stateOf({ firing, ledger }: EnvironmentHealth): Html {
  const freeze = ledger?.freeze;
  const frozen =
    freeze === undefined
      ? ''
      : html`<br /><span class="warning"
            >frozen by ${freeze.by}:
            ${freeze.reason}${freeze.until === undefined ? '' : html`, ends ${left(freeze.until)}`}</span
          >`;
  if (firing === undefined) return html`<span class="soft">not watched</span>${frozen}`;
  const alerts = Object.entries(firing);
  return alerts.length === 0
    ? html`<span class="ok">no alert</span>${frozen}`
    : html`${alerts.map(([name, since]) => html`<span class="bad">${name}</span> since ${moment(since)} `)}${frozen}`;
}
