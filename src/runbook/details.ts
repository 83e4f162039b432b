import type { Status } from '../contracts/index.ts';

/** Text from outside, so that it cannot become Markdown, a link or a line of its own. */
export const plain = (text: string): string =>
  text.replaceAll(/[\s\p{Cc}]+/gu, ' ').replaceAll(/([\\`*_{}[\]()<>#!|~])/g, '\\$1');

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
  ];
  if (status.phase === 'waiting' && proposal !== undefined) {
    lines.push(
      `## Asked of you: ${plain(proposal.summary)}`,
      '',
      `Waiting for **${status.waitingFor.map(plain).join(', ')}** until ${status.waitingUntil ?? proposal.expiresAt}. Risk: ${proposal.risk}.`,
      '',
      '**Why**',
      '',
      ...proposal.why.map((reason) => `- ${plain(reason)}`),
      '',
      '**Exactly this will run**',
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
      `{"by":"${status.waitingFor[0] ?? 'your-name'}","code":"XXXX-XXXX"}`,
      '```',
      '',
    );
  }
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
