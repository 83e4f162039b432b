/** Remedies that more than one runbook has. */
import type { Release, RollBack, Scope } from '../contracts/index.ts';
import type { Deployments } from '../contracts/ports.ts';
import { remedy, type AnyRemedy } from './run.ts';

/** Return the traffic of the running release to the one before it. */
export const rollBackTo = (of: {
  scope: Scope;
  running: Release;
  previous: Release;
  why: string[];
  by: Pick<Deployments, 'rollBack' | 'undoRollBack'>;
}): AnyRemedy => {
  const { scope, running, previous, why, by } = of;
  return remedy<RollBack>({
    summary: `Roll ${scope.service} back from ${running.version} to ${previous.version}`,
    why: [...why, `${running.version} is live since ${running.deployedAt}`].slice(-20),
    undo: `return the traffic to ${running.version}`,
    risk: 'medium',
    action: { kind: 'roll-back', ...scope, from: running.version, to: previous.version },
    act: by.rollBack,
    undoIt: by.undoRollBack,
  });
};
