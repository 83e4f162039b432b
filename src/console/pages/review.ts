import { html } from 'hono/html';
import {
  isRunId,
  runPath,
  type ActionItem,
  type Cause,
  type CauseDecision,
  type Review,
} from '../../contracts/index.ts';
import { CAUSE_ITEM, trialOf } from '../../runbook/review-items.ts';
import { spanOf } from '../../runbook/review-causes.ts';
import { csrfField, moment, page, table, type Html, type Viewer } from './layout.ts';
import { reviewPath } from './reviews.ts';

/** One review: what was lost, what it was, what was suspected before, what is left to do; with the forms to answer it. */
export function reviewPage(viewer: Viewer, review: Review, told?: string): Html {
  const { title, service, environment, summary, outcome, note, state, skipped, document } = review;
  const answers = state === 'open' && viewer.principal.rights.has('respond');
  const body = html`<h1>Review: ${title} on ${service} ${environment}</h1>
    <p class="lead">${summary}</p>
    <p><span class="tag">${outcome}</span> ${note}</p>
    <p class="soft">
      ${state}${skipped === undefined ? '' : html`: the cause was left open by ${skipped.by}: ${skipped.reason}`};
      ${
        document === undefined
          ? 'its document is not written yet'
          : html`document ${document.path} at ${document.commit.slice(0, 12)}`
      }${isRunId(review.workflowId) ? html`; <a href="${runPath(review)}">the run</a>` : ''}
    </p>
    <h2>Cause</h2>
    ${causes(review)} ${answers ? causeForm(viewer, review) : ''}
    <h2>Action items</h2>
    ${
      review.actionItems.length === 0
        ? html`<p>None.</p>`
        : review.actionItems.map((item) => itemCard(viewer, review, item, answers))
    }
    <h2>Impact</h2>
    ${impact(review)}
    <h2>Times</h2>
    ${times(review)}
    <h2>Contributing factors</h2>
    ${list(review.factors)}
    <h2>Detection gaps</h2>
    ${list(review.gaps)}`;
  return page(viewer, { title: `Review: ${title}`, here: '/reviews', body, told });
}

const list = (lines: string[]): Html =>
  lines.length === 0
    ? html`<p>None is known.</p>`
    : html`<ul>
        ${lines.map((line) => html`<li>${line}</li>`)}
      </ul>`;

function causes({ causes: all, decisions }: Review): Html {
  return html`${
    all.length === 0
      ? html`<p>Nothing is suspected.</p>`
      : html`<ol>
          ${all.map(cause)}
        </ol>`
  }
  ${decisions.map(said)}`;
}

const cause = ({ what, state, evidence }: Cause): Html =>
  html`<li>
    <span class="tag ${state === 'confirmed' ? 'ok' : ''}">${state}</span> ${what}
    <ul>
      ${evidence.map((line) => html`<li class="soft">${line}</li>`)}
    </ul>
  </li>`;

const said = ({ at, by, cause: what, reason, before }: CauseDecision): Html =>
  html`<p class="card">
    ${moment(at)} ${by} said: ${what}${reason === undefined ? '' : html`, because ${reason}`}<br />
    <span class="soft">Before that: ${before.join('; ') || 'nothing was suspected'}</span>
  </p>`;

function causeForm(viewer: Viewer, review: Review): Html {
  const choice = (value: string, label: string) => html`<option value="${value}">${label.slice(0, 120)}</option>`;
  return html`<details id="say-cause">
    <summary>Say what the cause was</summary>
    <form method="post" action="${reviewPath(review)}/cause">
      ${csrfField(viewer)}
      <label for="cause">One that is suspected</label>
      <select id="cause" name="cause">
        ${choice('', 'another, in words')} ${review.causes.map(({ id, what }) => choice(id, what))}
      </select>
      <label for="words">Or another, in words</label>
      <input id="words" name="words" maxlength="300" autocomplete="off" />
      <label for="reason">Why</label>
      <input id="reason" name="reason" maxlength="500" autocomplete="off" />
      <div class="row"><button>Confirm the cause</button></div>
    </form>
  </details>`;
}

function itemCard(viewer: Viewer, review: Review, item: ActionItem, answers: boolean): Html {
  const { id, title, why, setting, owner, dueAt, state, closedBy, closedAt, note, issue } = item;
  const overdue = state === 'open' && dueAt < new Date().toISOString();
  return html`<section class="card" aria-label="${title}">
    <p>
      <span class="tag ${state === 'done' ? 'done' : overdue ? 'bad' : ''}">${overdue ? 'overdue' : state}</span>
      ${title}
    </p>
    <p class="soft">${why}</p>
    ${setting === undefined || state === 'done' ? '' : trial(setting)}
    <p>
      ${owner}, due
      ${dueAt.slice(0, 10)}${
        closedAt === undefined
          ? ''
          : html`; done ${moment(closedAt)} by ${closedBy ?? 'nobody known'}${note === undefined ? '' : `: ${note}`}`
      }${issue === undefined ? '' : html`; <a href="${issue}" rel="noreferrer">issue</a>`}
    </p>
    ${
      answers && state === 'open' && id !== CAUSE_ITEM
        ? html`<details id="item-${id}">
            <summary>Close or change</summary>
            <form method="post" action="${reviewPath(review)}/items/${id}/close">
              ${csrfField(viewer)}
              <label for="text-${id}">What was done</label>
              <input id="text-${id}" name="text" maxlength="500" autocomplete="off" />
              <div class="row"><button>It is done</button></div>
            </form>
            <form method="post" action="${reviewPath(review)}/items/${id}/change">
              ${csrfField(viewer)}
              <label for="owner-${id}">Owner</label>
              <input id="owner-${id}" name="owner" value="${owner}" maxlength="40" autocomplete="off" />
              <label for="due-${id}">Due</label>
              <input id="due-${id}" name="due" type="date" value="${dueAt.slice(0, 10)}" />
              <div class="row"><button>Change</button></div>
            </form>
          </details>`
        : ''
    }
  </section>`;
}

function trial(setting: string): Html {
  const { change, command } = trialOf(setting);
  return html`<p>To try it on past incidents: ${change}, and run <code>${command}</code></p>`;
}

function impact({ impact: of }: Review): Html {
  const { users, requests, failed, budgetSpent, unknown } = of;
  const none = 'not measured';
  return html`<dl>
      <dt>Users who met an error</dt>
      <dd>${users === undefined ? none : `${users.sampled ? 'at least ' : ''}${users.count}`}</dd>
      <dt>Requests that failed</dt>
      <dd>
        ${failed === undefined || requests === undefined ? none : `${Math.round(failed)} of ${Math.round(requests)}`}
      </dd>
      <dt>Error budget of thirty days spent</dt>
      <dd>${budgetSpent === undefined ? none : `${(budgetSpent * 100).toFixed(2)} %`}</dd>
    </dl>
    ${unknown.map((why) => html`<p class="unknown">${why}</p>`)}`;
}

function times({ times: of }: Review): Html {
  const rows = (
    [
      ['began', of.beganAt, undefined],
      ['detected', of.detectedAt, of.beganAt],
      ['acknowledged by a person', of.acknowledgedAt, of.detectedAt],
      ['decided', of.decidedAt, of.detectedAt],
      ['mitigated', of.mitigatedAt, of.detectedAt],
      ['closed', of.endedAt, of.beganAt],
    ] as const
  ).map(
    ([name, at, from]) =>
      html`<tr>
        <th scope="row">${name}</th>
        <td>${at === undefined ? '-' : moment(at, true)}</td>
        <td>${at === undefined || from === undefined ? '-' : spanOf(Date.parse(at) - Date.parse(from))}</td>
      </tr>`,
  );
  return table(['', 'At', 'After'], rows);
}
