import type { Incident, Result } from '../../src/contracts/index.ts';
import { conduct } from '../../src/runbook/conduct.ts';

export * from '../../workflows/index.ts';

/** Asks one question after the other, for one person and for two in turn, until it is stopped. */
export async function highErrorRate(incident: Incident): Promise<Result> {
  const { service, environment } = incident;
  const of = { name: 'highErrorRate', title: 'Rounds', incident };
  const { result } = await conduct(of, async ({ approvals }) => {
    for (let round = 1; ; round += 1)
      await approvals.request({
        summary: `round ${round}`,
        why: [],
        undo: 'nothing',
        risk: round % 2 === 0 ? 'high' : 'medium',
        action: { kind: 'roll-back', service, environment, from: 'v2', to: 'v1' },
      });
  });
  return result;
}
