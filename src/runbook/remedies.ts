/** Remedies that more than one runbook has. */
import type { CreateIndex, Release, RollBack, Scale, Scope, SlowStatement } from '../contracts/index.ts';
import type { DatabaseIndexes, Deployments } from '../contracts/ports.ts';
import { minute } from './judgements.ts';
import { remedy, type AnyRemedy } from './run.ts';

/** Return the traffic of the running release to one before it; `between` ran since and were never verified good. */
export const rollBackTo = (of: {
  scope: Scope;
  running: Release;
  previous: Release;
  between: string[];
  why: string[];
  by: Pick<Deployments, 'rollBack' | 'undoRollBack'>;
}): AnyRemedy => {
  const { scope, running, previous, between, by } = of;
  const why = between.length === 0 ? of.why : [...of.why, `never verified good: ${between.slice(0, 5).join(', ')}`];
  return remedy<RollBack>({
    summary: `Roll ${scope.service} back from ${running.version} to ${previous.version}`,
    why: [...why, `${running.version} is live since ${minute(running.deployedAt)}`].slice(-20),
    undo: `return the traffic to ${running.version}`,
    risk: 'medium',
    action: { kind: 'roll-back', ...scope, from: running.version, to: previous.version },
    act: by.rollBack,
    undoIt: by.undoRollBack,
  });
};

/** Run more instances of the running release. */
export const scaleOut = (of: {
  scope: Scope;
  from: number;
  to: number;
  why: string[];
  by: Pick<Deployments, 'scale' | 'undoScale'>;
}): AnyRemedy => {
  const { scope, from, to, why, by } = of;
  return remedy<Scale>({
    summary: `Scale ${scope.service} out from ${from} to ${to} instances`,
    why,
    undo: `return to ${from} instances`,
    risk: 'low',
    action: { kind: 'scale', ...scope, from, to },
    act: by.scale,
    undoIt: by.undoScale,
  });
};

/** Make the index that a slow statement lacks. */
export const makeIndex = (of: {
  scope: Scope;
  index: NonNullable<SlowStatement['index']>;
  why: string[];
  by: Pick<DatabaseIndexes, 'createIndex' | 'undoCreateIndex'>;
}): AnyRemedy => {
  const { scope, why, by } = of;
  const { costNow, costWith, ...plan } = of.index;
  const proof =
    costWith === undefined
      ? `unproven (no hypopg): the plan costs ${costNow} and reads the whole table`
      : `proven by a hypothetical index: the plan costs ${costWith} instead of ${costNow}`;
  return remedy<CreateIndex>({
    summary: `Make the index ${plan.name} on ${plan.table}`,
    why: [...why, proof, plan.statement.slice(0, 500)].slice(-20),
    undo: `drop the index ${plan.name}`,
    risk: 'medium',
    action: { kind: 'create-index', ...scope, ...plan },
    act: by.createIndex,
    undoIt: by.undoCreateIndex,
  });
};
