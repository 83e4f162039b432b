import type { Status } from '../contracts/index.ts';

/** Text from outside, so that it cannot become Markdown, a link under another name or a line of its own. */
export const plain = (text: string): string =>
  text.replaceAll(/[\s\p{Cc}]+/gu, ' ').replaceAll(/([\\`*_{}[\]()<>#!|~])/g, '\\$1');

const stepLine = (state: string, name: string, more = ''): string =>
  `- **${state}** ${plain(name)}${more === '' ? '' : `: ${plain(more)}`}`;

/** What the Temporal UI shows a tired person: what is asked, why, the exact action, its undo, what to type. */
export function details(status: Status): string {
  const { incident, proposal } = status;
  const lines = [
    `### ${plain(status.title)}: ${incident.service} / ${incident.environment}`,
    '',
    `**Now:** ${plain(status.doing)}${status.paused ? ' **Paused.**' : ''}`,
    '',
    `**Next:** ${plain(status.next)}`,
    '',
    ...(status.acknowledgedBy === undefined ? [] : [`**${plain(status.acknowledgedBy)}** looks at it.`, '']),
  ];
  if (status.phase === 'waiting' && proposal !== undefined) {
    const option = proposal.options === undefined ? '' : `,"option":"${proposal.options[0]}"`;
    lines.push(
      `## Asked of you: ${plain(proposal.summary)}`,
      '',
      `Waiting for **${status.waitingFor.map(plain).join(', ')}** until ${status.waitingUntil ?? proposal.expiresAt}. Risk: ${proposal.risk}.`,
      '',
      '**Why**',
      '',
      ...proposal.why.map((reason) => `- ${plain(reason)}`),
      '',
      proposal.action.kind === 'confirm-break-glass' ? '**What is to be looked at**' : '**Exactly this will run**',
      '',
      '```json',
      JSON.stringify(proposal.action, null, 1).replaceAll('`', "'"),
      '```',
      '',
      `**Undo:** ${plain(proposal.undo)}`,
      '',
      '**To approve:** *Send a Signal*, name `approve` (or `reject`), and as input, with the code that was sent to you:',
      '',
      '```json',
      `{"by":"${status.waitingFor[0] ?? 'your-name'}","code":"XXXX-XXXX"${option}}`,
      '```',
      '',
      ...(proposal.options === undefined ? [] : [`The options are ${proposal.options.join(', ')}.`, '']),
    );
  }
  if (status.steps !== undefined)
    lines.push(
      '**Steps**',
      '',
      ...status.steps.map(({ name, state, detail, undo }) => stepLine(state, name, detail ?? undo)),
      '',
    );
  if (status.outcome !== undefined) lines.push(`**Outcome: ${status.outcome}.** ${plain(status.note ?? '')}`, '');
  if (status.findings.length > 0) {
    lines.push(
      '**Findings**',
      '',
      ...status.findings.map(
        (finding) => `- **${finding.verdict}** ${plain(finding.check)}: ${plain(finding.summary)}`,
      ),
      '',
    );
  }
  lines.push(
    `**Alerts:** ${status.alerts.distinct} (${status.alerts.deliveries} deliveries)${status.alerts.resolved ? ', resolved by their source' : ''}`,
    '',
  );
  lines.push(`**Stop it:** ${plain(status.howToStop)}`);
  return lines.join('\n');
}
