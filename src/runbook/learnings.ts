/** What past incidents say of one that is like them. */
import { proxyLocalActivities } from '@temporalio/workflow';
import type { Finding, Policy, Resemblance } from '../contracts/index.ts';
import type { Learnings } from '../contracts/ports.ts';
import { diagnostic } from './activity-options.ts';
import { targetOf } from './attempts.ts';
import { spanOf } from './review-causes.ts';
import type { AnyRemedy } from './run.ts';
import type { Story } from './story.ts';

const { resembling } = proxyLocalActivities<Learnings>(diagnostic);
/** A proposal has at most 20 reasons. */
const REASONS = 18;

/** What an incident looks like: its bad checks, and the words of its errors without the numbers in them. */
export const fingerprintOf = (findings: Finding[]): string[] => {
  const bad = findings.filter(({ verdict }) => verdict === 'bad');
  const words = bad
    .filter(({ check }) => /error patterns|stack traces/.test(check))
    .flatMap(({ summary }) => summary.split(/[;,]| at | ← |: /))
    .map((part) =>
      part
        .replaceAll(/\d+|\([^)]*\)/g, '')
        .trim()
        .toLowerCase()
        .slice(0, 60),
    )
    .filter((part) => part.length > 6);
  return [...new Set([...bad.map(({ check }) => `check:${check}`), ...words.map((word) => `says:${word}`)])].slice(
    0,
    40,
  );
};

/** Past incidents that looked like this one; none where they cannot be read. */
export async function pastOf({ status }: Story, policy: Policy): Promise<Resemblance[]> {
  if (policy.review === undefined) return [];
  const { service, environment } = status.incident;
  const fingerprint = fingerprintOf(status.findings);
  return await resembling({ service, environment, runbook: status.runbook, fingerprint }).catch(() => []);
}

/** In one line: `this resembles incident.shop.high-error-rate of 2026-11-24 (80 % alike): roll-back helped, 4 minutes`. */
export function resembles({ workflowId, at, likeness, attempts, outcome, cause }: Resemblance): string {
  const came = attempts.map(
    ({ kind, result, tookMs }) =>
      `${kind} ${result.replaceAll('-', ' ')}${tookMs === undefined ? '' : `, ${spanOf(tookMs)}`}`,
  );
  const why = cause === undefined ? '' : `; cause (${cause.state}): ${cause.what}`;
  return `this resembles ${workflowId} of ${at.slice(0, 10)} (${Math.round(likeness * 100)} % alike): ${came.join('; ') || outcome}${why}`.slice(
    0,
    500,
  );
}

/** How often a remedy helped in the past, less how often it did not. */
function scoreOf({ action }: AnyRemedy, past: Resemblance[]): number {
  const target = targetOf(action);
  const own = past.flatMap(({ attempts }) =>
    attempts.filter(({ kind, target: what }) => kind === action.kind && (kind === 'roll-back' || what === target)),
  );
  const count = (result: string): number => own.filter((one) => one.result === result).length;
  return count('helped') - count('not-helped');
}

/**
 * The proposals in the order that the configuration has for the runbook; kinds that it does not name come after those. It neither
 * adds a proposal nor takes one away.
 */
export function inOrder(remedies: AnyRemedy[], runbook: string, { proposals = {} }: Policy): AnyRemedy[] {
  const kinds = proposals[runbook] ?? [];
  const placeOf = ({ action: { kind } }: AnyRemedy): number =>
    kinds.includes(kind) ? kinds.indexOf(kind) : kinds.length;
  const because = `put forward by the configuration: proposals.${runbook}`;
  return remedies
    .toSorted((a, b) => placeOf(a) - placeOf(b))
    .map((remedy, i) =>
      remedies.indexOf(remedy) <= i ? remedy : { ...remedy, why: [...remedy.why.slice(0, REASONS - 1), because] },
    );
}

/**
 * The proposals that the evidence supports, each with what past incidents say. The past moves one at most one place: before its
 * neighbour, where it has helped more often. It neither adds a proposal nor takes one away.
 */
export function inLightOf(past: Resemblance[], remedies: AnyRemedy[]): AnyRemedy[] {
  if (past.length === 0) return remedies;
  const said = past.slice(0, 2).map(resembles);
  const order = remedies.map((remedy) => ({ remedy, score: scoreOf(remedy, past), why: [...said] }));
  for (let i = 1; i < order.length; i += 1) {
    const [before, after] = [order[i - 1], order[i]];
    if (before === undefined || after === undefined || after.score <= before.score) continue;
    after.why.push(
      `put before "${before.remedy.summary}", which comes first otherwise: it helped more often then`.slice(0, 500),
    );
    [order[i - 1], order[i]] = [after, before];
    i += 1; // neither moves again
  }
  return order.map(({ remedy, why }) => ({ ...remedy, why: [...remedy.why.slice(0, REASONS - 1), ...why] }));
}
