import { html } from 'hono/html';
import { runPath, type Settings, type Status, type Step } from '../../contracts/index.ts';
import { MESSAGES, type Message } from '../../operations/people.ts';
import { isSecondLook } from '../../operations/runs.ts';
import { bakeTimer } from './bake.ts';
import { charts } from './charts.ts';
import { csrfField, left, moment, page, type Html, type Viewer } from './layout.ts';
import { aloneNote } from './break-glass.ts';
import { openProposal, proposalCard } from './proposal.ts';

/** One sentence of what is wrong, or of what is being done. */
export const sentence = ({ title, incident }: Pick<Status, 'title' | 'incident'>): string =>
  `${title} on ${incident.service} ${incident.environment}: ${incident.summary}`;

/** What has to be confirmed, because it ends the automation. */
const ENDS: Partial<Record<Message, string>> = {
  takeOver: 'The automation ends, and you go on by hand.',
  stop: 'The automation ends. An incident leaves what is; a deployment takes back what it did.',
};

/** The page of an incident, a deployment or a rollback. */
export function runPage(
  viewer: Viewer,
  of: { status: Status; settings: Settings; uiUrl: string; told?: string | undefined },
): Html {
  const { status, settings, uiUrl, told } = of;
  const { incident, outcome } = status;
  const body = html`<p class="soft">
      <span class="tag ${incident.severity}">${incident.severity}</span> · ${incident.service} / ${incident.environment}
      · since ${moment(incident.openedAt)}
    </p>
    <h1>${sentence(status)}</h1>
    ${state(status)} ${proposalCard(viewer, status, settings)} ${outcome === undefined ? actions(viewer, status) : ''}
    ${decided(status)} ${aloneNote(status)} ${bakeTimer(status, settings)} ${steps(status)} ${charts(status)}
    ${findings(status)} ${timeline(status)}
    <p><a href="${uiUrl}">This run in the Temporal UI</a> · <span class="soft">${status.workflowId}</span></p>`;
  const asks = openProposal(status)?.digest;
  return page(viewer, {
    title: sentence(status).slice(0, 80),
    here: '',
    body,
    told,
    live: { path: `/live${runPath(status)}`, version: versionOf(status), asks },
  });
}

/** What it does and will do; where it asks something, the proposal says it. */
function state(status: Status): Html | string {
  const { paused, doing, next, outcome, note, waitingUntil } = status;
  if (outcome !== undefined)
    return html`<p class="lead" role="status"><strong>Closed as ${outcome}.</strong> ${note ?? ''}</p>`;
  if (paused)
    return html`<p class="lead" role="status"><strong>Paused.</strong> Nothing new begins until it is resumed.</p>`;
  if (openProposal(status) !== undefined) return '';
  return html`<p class="lead" role="status">${doing}</p>
    <p>Next${waitingUntil === undefined ? '' : html`, ${left(waitingUntil)} at the latest`}: ${next}</p>`;
}

/** Changes with everything that the page shows. */
export const versionOf = ({ revision, phase, timeline }: Status): string => `${revision}.${phase}.${timeline.length}`;

function actions(viewer: Viewer, status: Status): Html | string {
  if (!viewer.principal.rights.has('respond')) return '';
  const look = isSecondLook(status);
  const form = (message: Message, inside: Html | string = ''): Html =>
    html`<form method="post" action="${runPath(status)}/${message}">
      ${csrfField(viewer)}${inside}<button>${MESSAGES[message]}</button>
    </form>`;
  const text = (message: Message, label: string): Html =>
    html`<label for="text-${message}">${label}</label
      ><textarea id="text-${message}" name="text" rows="2" maxlength="1000"></textarea>`;
  const behind = (message: Message, inside: Html): Html =>
    html`<details id="do-${message}">
      <summary>${MESSAGES[message]}</summary>
      ${form(message, inside)}
    </details>`;
  return html`<section aria-label="What you can do" class="row">
    ${form('acknowledge')} ${status.runbook === 'escalation' || look ? '' : form(status.paused ? 'resume' : 'pause')}
    ${behind('note', text('note', 'Note'))}
    ${(look ? [] : (['takeOver', 'stop'] as const)).map((message) =>
      behind(
        message,
        html`<p>${ENDS[message] ?? ''}</p>
          ${text(message, 'Why')}`,
      ),
    )}
  </section>`;
}

const decided = ({ decision, proposal, phase }: Status): Html | string =>
  decision === undefined || phase === 'waiting'
    ? ''
    : html`<p>
        <strong>${decision.verdict}</strong> by ${decision.by.join(', ')} via ${decision.via}, ${moment(decision.at)}:
        ${proposal?.summary ?? ''}
      </p>`;

export function steps({ steps: all }: Pick<Status, 'steps'>): Html | string {
  if (all === undefined || all.length === 0) return '';
  const line = ({ name, state, detail, undo }: Step): Html =>
    html`<li>
      <span class="tag ${state}">${state}</span> ${name}${detail === undefined ? '' : html`: ${detail}`}${
        undo === undefined ? '' : html` <span class="soft">(undo: ${undo})</span>`
      }
    </li>`;
  return html`<h2>Steps</h2>
    <ol>
      ${all.map(line)}
    </ol>`;
}

const findings = ({ findings: all }: Status): Html | string =>
  all.length === 0
    ? ''
    : html`<h2>Findings</h2>
        <ul>
          ${all.map(
            ({ check, verdict, summary, link }) =>
              html`<li>
                <span class="tag ${verdict}">${verdict}</span> ${check}:
                ${summary}${
                  link !== undefined && /^https?:\/\//.test(link)
                    ? html` <a href="${link}" rel="noreferrer">evidence</a>`
                    : ''
                }
              </li>`,
          )}
        </ul>`;

const timeline = ({ timeline: all, alerts }: Status): Html =>
  html`<h2>Timeline</h2>
    <p class="soft">
      ${alerts.distinct} alerts, ${alerts.deliveries} deliveries${alerts.resolved ? '; resolved by their source' : ''}
    </p>
    ${newestFirst(all)}`;

/** The lines of a timeline. */
export const newestFirst = (lines: Status['timeline']): Html =>
  html`<ol class="timeline">
    ${lines
      .toReversed()
      .map(
        ({ at, what, who }) =>
          html`<li>
            <span class="soft">${moment(at, true)}</span> ${what}${
              who === undefined ? '' : html` <span class="soft">(${who})</span>`
            }
          </li>`,
      )}
  </ol>`;
