import { html } from 'hono/html';
import { heldByMode, runPath, type Settings } from '../../contracts/index.ts';
import type { EnvironmentHealth } from '../../operations/services.ts';
import type { Board, OpenRun } from '../board.ts';
import type { ListedRun } from '../../operations/runs.ts';
import { bakeTimer } from './bake.ts';
import { csrfField, moment, page, type Html, type Viewer } from './layout.ts';
import { runningNow } from './now.ts';
import { openProposal } from './proposal.ts';
import { steps } from './run.ts';

/** Per environment: what runs, what is verified good, the step it stands at; and how to start, and how to go back. */
export function deploymentsPage(
  viewer: Viewer,
  of: { board: Board; settings: Settings; past: ListedRun[]; told?: string | undefined },
): Html {
  const { board, settings, past, told } = of;
  const cards = board.services.flatMap(({ service, environments }) =>
    environments.map((environment) => card(viewer, service, environment, { board, settings })),
  );
  const body = html`<h1>Deployments</h1>
    ${board.away === undefined ? cards : html`<p class="error">${board.away}</p>`}
    <h2>Ended</h2>
    ${runsList(past)}`;
  return page(viewer, {
    title: 'Deployments',
    here: '/deployments',
    body,
    told,
    live: { path: '/live', version: board.version },
  });
}

/** Runs with their times, newest first. */
export const runsList = (runs: ListedRun[]): Html =>
  runs.length === 0
    ? html`<p>None.</p>`
    : html`<ol class="timeline">
        ${runs.map(
          (run) =>
            html`<li>
              <span class="soft">${moment(run.startedAt)}</span> <a href="${runPath(run)}">${run.workflowId}</a>
              <span class="tag ${run.severity}">${run.severity}</span>
            </li>`,
        )}
      </ol>`;

function card(
  viewer: Viewer,
  service: string,
  one: EnvironmentHealth,
  { board, settings }: { board: Board; settings: Settings },
): Html {
  const { environment, ledger } = one;
  const runs = board.deployments.filter((run) => run.service === service && run.environment === environment);
  const verified = (ledger?.verified ?? []).slice(0, 5);
  const held = (ledger?.held ?? []).slice(0, 3);
  const unchanging = heldByMode(one.mode, { service, environment });
  return html`<section class="card" aria-label="${service} ${environment}">
    <h2>${service} / ${environment}</h2>
    <dl>
      <dt>Runs</dt>
      <dd>${runningNow(ledger, [...board.incidents, ...board.deployments])}</dd>
      <dt>Verified good</dt>
      <dd>${verified.map(({ version }) => version).join(', ') || 'none yet'}</dd>
      ${
        held.length === 0
          ? ''
          : html`<dt>Held</dt>
              <dd>${held.map(({ version, reason }) => `${version} (${reason})`).join('; ')}</dd>`
      }
      <dt>Procedure</dt>
      <dd>${one.procedure}</dd>
      ${
        ledger?.freeze === undefined
          ? ''
          : html`<dt>Frozen</dt>
              <dd class="warning">by ${ledger.freeze.by}: ${ledger.freeze.reason}</dd>`
      }
    </dl>
    ${runs.map((run) => running(run, settings))}
    ${unchanging === undefined ? '' : html`<p class="soft">${unchanging}</p>`}
    ${unchanging === undefined && viewer.principal.rights.has('deploy') ? forms(viewer, service, environment, verified) : ''}
  </section>`;
}

function running(run: OpenRun, settings: Settings): Html {
  const { status } = run;
  const proposal = status === undefined ? undefined : openProposal(status);
  return html`<div class="${proposal === undefined ? '' : 'ask'}">
    <p>
      <a href="${runPath(run)}">${status?.incident.summary ?? run.workflowId}</a>:
      ${proposal === undefined ? (status?.doing ?? run.phase) : `asked of ${run.waitingFor.join(', ')}: ${proposal.summary}`}
    </p>
    ${
      status === undefined
        ? ''
        : html`${bakeTimer(status, settings)}
            <details id="steps-${run.runId}">
              <summary>Steps</summary>
              ${steps(status)}
            </details>`
    }
  </div>`;
}

function forms(viewer: Viewer, service: string, environment: string, verified: { version: string }[]): Html {
  const at = `/deployments/${service}/${environment}`;
  const id = `${service}-${environment}`;
  return html`<details id="start-${id}">
      <summary>Deploy</summary>
      <form method="post" action="${at}/start">
        ${csrfField(viewer)}
        <label for="ref-${id}">Branch, tag or commit (empty: what was verified last before this environment)</label>
        <input id="ref-${id}" name="ref" maxlength="100" autocomplete="off" />
        <label for="override-${id}">Reason to break a rule, if one must be (a second person must agree)</label>
        <input id="override-${id}" name="override" maxlength="500" autocomplete="off" />
        <div class="row"><button>Start the deployment</button></div>
      </form>
    </details>
    <details id="back-${id}">
      <summary>Roll back</summary>
      <form method="post" action="${at}/roll-back">
        ${csrfField(viewer)}
        <label for="to-${id}">To</label>
        <select id="to-${id}" name="ref">
          <option value="">the last version that was verified good</option>
          ${verified.map(({ version }) => html`<option value="${version}">${version}</option>`)}
        </select>
        <p class="soft">No approval is asked: it begins at once.</p>
        <div class="row"><button class="reject">Roll back now</button></div>
      </form>
    </details>`;
}
