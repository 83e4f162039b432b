import { html } from 'hono/html';
import { runPath, type Settings, type Status } from '../../contracts/index.ts';
import { unanswered } from '../../operations/unanswered.ts';
import { aloneForm, mayDecide } from './break-glass.ts';
import { csrfField, left, moment, type Html, type Viewer } from './layout.ts';

/** Whether it asks a second person to look at what is done already. */
const isLook = (proposal: Status['proposal']): boolean => proposal?.action.kind === 'confirm-break-glass';

/** The proposal that waits for a decision, if one does. */
export const openProposal = ({ phase, proposal }: Status): Status['proposal'] =>
  phase === 'waiting' ? proposal : undefined;

/** What happens when nobody answers, and how long that is from now. */
export function ifNobody(status: Status, settings: Settings): Html {
  const { unless, at, follows } = unanswered(status, settings);
  return html`${unless}${at === undefined ? '' : html` ${left(at)} (${moment(at)})`}, ${follows}.`;
}

/** What is asked: the exact action, why, its risk and undo, what happens without an answer, and the form to answer with. */
export function proposalCard(viewer: Viewer, status: Status, settings: Settings): Html | string {
  const proposal = openProposal(status);
  if (proposal === undefined) return '';
  const { principal } = viewer;
  const mine = status.waitingFor.includes(principal.name);
  const { why, needed, alone } = mayDecide(viewer, status, settings, proposal);
  const decides = principal.rights.has('decide');
  const told = alone !== undefined || isLook(proposal) ? why : undefined; // where the form would only be refused
  return html`<section class="ask" aria-labelledby="asked">
    <p class="tag">${mine ? 'Asked of you' : `Asked of ${status.waitingFor.join(', ') || 'nobody yet'}`}</p>
    <h2 id="asked">${proposal.summary}</h2>
    <p>${ifNobody(status, settings)}</p>
    <dl>
      <dt>Risk</dt>
      <dd>${proposal.risk}${needed > 1 ? `; ${needed} people must approve` : ''}</dd>
      <dt>Undo</dt>
      <dd>${proposal.undo}</dd>
    </dl>
    <ul>
      ${proposal.why.map((line) => html`<li>${line}</li>`)}
    </ul>
    <details id="exactly">
      <summary>${isLook(proposal) ? 'What is to be looked at' : 'Exactly this will run'}</summary>
      <pre tabindex="0">${JSON.stringify(proposal.action, null, 2)}</pre>
      <p class="soft">Proposal ${proposal.digest.slice(0, 8)}</p>
    </details>
    ${
      decides
        ? told === undefined
          ? decisionForm(viewer, status, proposal)
          : html`<p class="soft">${told}.</p>`
        : html`<p class="soft">You may read this; deciding needs another role.</p>`
    }
    ${
      decides && alone !== undefined
        ? aloneForm(viewer, {
            action: `${runPath(status)}/decide`,
            proposal,
            needed,
            within: alone.secondPersonWithin,
            options: waysOf(proposal),
          })
        : ''
    }
  </section>`;
}

/** The ways that a proposal offers, to choose from. */
const waysOf = ({ options = [] }: NonNullable<Status['proposal']>): Html[] =>
  options.map(
    (option, i) =>
      html`<label
        ><input
          type="radio"
          name="option"
          value="${option}"
          ${i === 0 ? html`checked` : ''}
        />${option.replaceAll('-', ' ')}</label
      >`,
  );

function decisionForm(viewer: Viewer, status: Status, proposal: NonNullable<Status['proposal']>): Html {
  const options = waysOf(proposal);
  const look = isLook(proposal);
  return html`<form method="post" action="${runPath(status)}/decide">
    ${csrfField(viewer)}
    <input type="hidden" name="digest" value="${proposal.digest}" />
    ${
      options.length === 0
        ? ''
        : html`<fieldset>
            <legend>How to go on, if approved</legend>
            ${options}
          </fieldset>`
    }
    <label for="reason">${look ? 'Note (needed to object)' : 'Comment (optional)'}</label>
    <textarea id="reason" name="reason" rows="1" maxlength="500"></textarea>
    <div class="row">
      <button class="approve" name="verdict" value="approved">${look ? 'Confirm' : 'Approve'}</button>
      <button class="reject" name="verdict" value="declined">${look ? 'Object' : 'Reject'}</button>
    </div>
  </form>`;
}
