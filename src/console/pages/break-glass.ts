import { html } from 'hono/html';
import { approvalAt } from '../../approval-rules.ts';
import type { Settings, Status } from '../../contracts/index.ts';
import { neededFor, whyNot, whyNotAlone } from '../../runbook/decisions.ts';
import { csrfField, left, moment, type Html, type Viewer } from './layout.ts';

/** What a viewer may do about a proposal: why not decide it, and whether to approve it alone. The run has the last word. */
export function mayDecide({ principal }: Viewer, status: Status, settings: Settings, proposal: Proposal) {
  const rules = { people: settings.people, approval: approvalAt(settings, status.incident) };
  const { approval } = rules;
  const now = Date.now();
  const alone = whyNotAlone(principal.name, proposal, rules, { others: 0, now }) === undefined;
  return {
    why: whyNot(principal.name, proposal, rules, now),
    needed: neededFor(proposal, rules),
    alone: alone ? approval[proposal.risk].breakGlass : undefined,
  };
}
type Proposal = NonNullable<Status['proposal']>;

/** The form to approve alone what its rule asks more people for, apart from the one that decides, and marked. */
export function aloneForm(
  viewer: Viewer,
  of: { action: string; proposal: Proposal; needed: number; within: string; options: Html[] },
): Html {
  const { action, proposal, needed, within, options } = of;
  const rule = needed > 1 ? `${needed} people` : 'somebody else';
  return html`<details id="break-glass" class="card error">
    <summary>Break-glass: approve it alone</summary>
    <p>
      The rule asks for ${rule}. Everybody of the ladder is told in every channel that you have approved it alone, and
      why; a second person must look at it within ${within}.
    </p>
    <form method="post" action="${action}">
      ${csrfField(viewer)}
      <input type="hidden" name="digest" value="${proposal.digest}" />
      <input type="hidden" name="breakGlass" value="true" />
      ${options}
      <label for="alone">Why nobody else can be waited for</label>
      <textarea id="alone" name="reason" rows="2" maxlength="500" required></textarea>
      <button class="reject" name="verdict" value="approved">Approve alone</button>
    </form>
  </details>`;
}

/** That one person has approved alone, why, and where a second is to look. */
export function aloneNote({ decision }: Status): Html | string {
  if (decision?.breakGlass === undefined) return '';
  const { workflowId, reason, until } = decision.breakGlass;
  return html`<p class="card error">
    <strong>Break-glass: ${decision.by.join(', ')} approved it alone</strong>, because: ${reason}.
    <a href="/runs/${encodeURIComponent(workflowId)}">A second person must look</a> by ${moment(until)}
    (${left(until)}).
  </p>`;
}
