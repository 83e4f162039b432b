import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import { simulatedPolicy } from '../../activities/simulator.ts';
import type { Policy, Proposal, SignedDecision } from '../../src/contracts/index.ts';
import { assertMayDecide, canonical, digestOf, signedBytes, whyNot } from '../../src/runbook/decisions.ts';

const RUN = { workflowId: 'incident.shop.high-error-rate', runId: 'run-1' };
const NOW = Date.parse('2026-01-01T00:00:00Z');
const expiresAt = new Date(NOW + 60_000).toISOString();
const action = { kind: 'roll-back', service: 'shop', environment: 'production', from: 'v2', to: 'v1' } as const;

const keys = generateKeyPairSync('ed25519');
const privateKey = createPrivateKey(keys.privateKey.export({ type: 'pkcs8', format: 'pem' }));
const policy: Policy = {
  ...simulatedPolicy,
  decisionKeys: { test: keys.publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('hex') },
};
const proposal: Proposal = {
  id: `${RUN.workflowId}/${RUN.runId}#1`,
  digest: digestOf(`${RUN.workflowId}/${RUN.runId}#1`, action, expiresAt),
  summary: 'Roll shop back from v2 to v1',
  why: [],
  undo: 'return the traffic to v2',
  risk: 'medium',
  action,
  expiresAt,
};
const open = { proposal, ...RUN, now: NOW };

/** A decision of the responder, signed after these changes. */
function decision(change: Partial<SignedDecision> = {}): SignedDecision {
  const unsigned = {
    ...RUN,
    digest: proposal.digest,
    verdict: 'approved' as const,
    person: 'responder',
    via: 'cli' as const,
    expiresAt,
    keyId: 'test',
    ...change,
  };
  return { ...unsigned, signature: sign(null, signedBytes(unsigned), privateKey).toString('hex') };
}

it('takes the signed decision of a person who may decide', () => {
  expect(() => assertMayDecide(decision(), open, policy)).not.toThrow();
});

it.each<[string, SignedDecision, string]>([
  ['another run', decision({ runId: 'run-0' }), 'for another run'],
  ['another incident', decision({ workflowId: 'incident.shop.triage' }), 'for another run'],
  ['another proposal', decision({ digest: '0'.repeat(64) }), 'for another proposal'],
  ['a time that is over', decision({ expiresAt: new Date(NOW).toISOString() }), 'has expired'],
  ['an unknown key', decision({ keyId: 'other' }), 'no key "other"'],
  ['an unknown person', decision({ person: 'nobody' }), '"nobody" is not a person of the configuration'],
  ['a person without the role', decision({ person: 'visitor' }), 'visitor lacks the role approver for medium risk'],
  ['a verdict turned after it was signed', { ...decision(), verdict: 'declined' }, 'the signature is wrong'],
  ['a name changed after it was signed', { ...decision(), person: 'cto' }, 'the signature is wrong'],
  ['a signature that is no hex', { ...decision(), signature: 'approve me' }, 'the signature is wrong'],
])('refuses a decision for or by %s', (_what, wrong, message) => {
  expect(() => assertMayDecide(wrong, open, policy)).toThrow(message);
});

it('signs equal values as equal bytes, whatever the order of their fields', () => {
  expect(canonical({ b: [{ d: 1, c: 2 }], a: null })).toBe(canonical({ a: null, b: [{ c: 2, d: 1 }] }));
});

it('gives another action, another number and another end each its own digest', () => {
  const digests = [
    proposal.digest,
    digestOf(proposal.id, { ...action, to: 'v0' }, expiresAt),
    digestOf(`${RUN.workflowId}/${RUN.runId}#2`, action, expiresAt),
    digestOf(proposal.id, action, new Date(NOW).toISOString()),
  ];
  expect(new Set(digests).size).toBe(digests.length);
});

it('names the role that is missing', () => {
  expect(whyNot('responder', proposal, policy)).toBeUndefined();
  expect(whyNot('visitor', { ...proposal, risk: 'high' }, policy)).toBe(
    'visitor lacks the role approver for high risk',
  );
});
