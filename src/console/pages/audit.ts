import { html } from 'hono/html';
import { readAudit, verifyAudit } from '../../audit.ts';
import { moment, page, type Html, type Viewer } from './layout.ts';

const SHOWN = 200;

/** The newest entries of the audit trail, and whether the chain holds. */
export function auditPage(viewer: Viewer, stateDir: string): Html {
  const { entries, fault } = verifyAudit(stateDir);
  const body = html`<h1>Audit trail</h1>
    ${
      fault === undefined
        ? html`<p class="ok">The chain of ${entries} entries holds.</p>`
        : html`<p class="error" role="alert">The chain is broken: ${fault}.</p>`
    }
    <ol class="timeline">
      ${(fault === undefined ? readAudit(stateDir, SHOWN) : []).map(
        ({ at, who, via, what, on, result, detail }) =>
          html`<li>
            <span class="soft">${moment(at, true)}</span> <strong>${who}</strong>
            <span class="soft">(${via})</span> ${what} ${on}
            <span class="tag ${result === 'done' ? 'ok' : 'bad'}">${result}</span> ${detail}
          </li>`,
      )}
    </ol>`;
  return page(viewer, { title: 'Audit trail', here: '/audit', body });
}
