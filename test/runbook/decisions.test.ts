import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import { simulatedPolicy } from '../../activities/simulator.ts';
import type { Policy, Proposal, SignedDecision } from '../../src/contracts/index.ts';
import { assertMayDecide, canonical, digestOf, neededFor, signedBytes, whyNot } from '../../src/runbook/decisions.ts';

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
const open = { proposal, ...RUN, now: NOW, approvedBy: [] as string[] };

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
  ['another proposal', decision({ digest: '0'.repeat(64) }), 'another proposal is open'],
  [
    'another environment',
    decision({ digest: digestOf(proposal.id, { ...action, environment: 'staging' }, expiresAt) }),
    'another proposal is open',
  ],
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

it('counts nobody for another way than the one that others have approved already', () => {
  const ways = { ...open, proposal: { ...proposal, options: ['retry', 'skip'] }, approvedBy: ['lead'], chosen: 'skip' };
  for (const option of [undefined, 'retry'])
    expect(() => assertMayDecide(decision({ option }), ways, policy)).toThrow('"skip" is approved already');
  expect(() => assertMayDecide(decision({ option: 'skip', reason: 'flaky' }), ways, policy)).not.toThrow();
  expect(() => assertMayDecide(decision({ verdict: 'declined' }), ways, policy)).not.toThrow();
});

it('signs equal values as equal bytes, whatever the order of their fields', () => {
  expect(canonical({ b: [{ d: 1, c: 2 }], a: null })).toBe(canonical({ a: null, b: [{ c: 2, d: 1 }] }));
});

it('gives another action, another environment, another number and another end each its own digest', () => {
  const digests = [
    proposal.digest,
    digestOf(proposal.id, { ...action, to: 'v0' }, expiresAt),
    digestOf(proposal.id, { ...action, environment: 'staging' }, expiresAt),
    digestOf(`${RUN.workflowId}/${RUN.runId}#2`, action, expiresAt),
    digestOf(proposal.id, action, new Date(NOW).toISOString()),
  ];
  expect(new Set(digests).size).toBe(digests.length);
});

it('names the role that is missing', () => {
  expect(whyNot('responder', proposal, policy, NOW)).toBeUndefined();
  expect(whyNot('visitor', { ...proposal, risk: 'high' }, policy, NOW)).toBe(
    'visitor lacks the role approver for high risk',
  );
});

it('lets whoever was given it decide instead, for as long as that was given, and nobody for whoever asked', () => {
  const [from, until] = [new Date(NOW).toISOString(), new Date(NOW + 3_600_000).toISOString()];
  const people = policy.people.map((one) =>
    one.name === 'responder' ? { ...one, delegates: [{ to: 'visitor', from, until }] } : one,
  );
  const away = { ...policy, people };
  expect(whyNot('visitor', proposal, away, NOW)).toBeUndefined();
  expect(whyNot('responder', proposal, away, NOW)).toBe(`visitor decides instead of responder until ${until}`);
  for (const other of [NOW - 1, NOW + 3_600_000]) {
    expect(whyNot('visitor', proposal, away, other)).toContain('lacks the role');
    expect(whyNot('responder', proposal, away, other)).toBeUndefined();
  }
  expect(whyNot('visitor', { ...proposal, notBy: ['responder'] }, away, NOW)).toContain('lacks the role');
});

describe('break-glass', () => {
  const breakGlass = { roles: ['admin' as const], secondPersonWithin: '1 hour' };
  const medium = { ...policy.approval.medium, quorum: 2, breakGlass };
  const broken: Policy = { ...policy, approval: { ...policy.approval, medium } };
  const alone = (change: Partial<SignedDecision> = {}) =>
    decision({ person: 'cto', breakGlass: true, reason: 'nobody answers, the shop is down', ...change });

  it('lets a person with its role approve alone, also whoever asked for it, and whoever is one of too few', () => {
    expect(() => assertMayDecide(alone(), open, broken)).not.toThrow();
    const own = { ...open, proposal: { ...proposal, notBy: ['cto'] }, approvedBy: ['cto'] };
    expect(() => assertMayDecide(alone(), own, broken)).not.toThrow();
    const apart = policy.people.map((one) => (one.name === 'cto' ? { ...one, roles: ['admin' as const] } : one));
    expect(() => assertMayDecide(alone(), open, { ...broken, people: apart })).not.toThrow();
  });

  it.each<[string, SignedDecision, Policy, string]>([
    ['without a reason', alone({ reason: ' ' }), broken, 'needs a reason'],
    ['that rejects', alone({ verdict: 'declined' }), broken, 'is there to approve'],
    ['from Slack', alone({ via: 'slack' }), broken, 'not for Slack'],
    ['of a person without its role', alone({ person: 'lead' }), broken, 'lead lacks the role admin for medium risk'],
    ['of a person who is nobody', alone({ person: 'nobody' }), broken, '"nobody" is not a person'],
    ['where the rule has none', alone(), policy, 'set breakGlass in approval.medium of the configuration'],
    ['for another proposal', alone({ digest: '0'.repeat(64) }), broken, 'another proposal is open'],
    ['that has expired', alone({ expiresAt: new Date(NOW).toISOString() }), broken, 'has expired'],
    [
      'added to a decision after it was signed',
      { ...decision({ person: 'cto', reason: 'x' }), breakGlass: true },
      broken,
      'the signature is wrong',
    ],
    ['with another reason than was signed', { ...alone(), reason: 'all is well' }, broken, 'the signature is wrong'],
  ])('is refused %s', (_what, wrong, rules, message) => {
    expect(() => assertMayDecide(wrong, open, rules)).toThrow(message);
  });

  it('cannot be taken out of a decision that was signed with it', () => {
    const { breakGlass: _taken, ...rest } = alone();
    expect(() => assertMayDecide(rest, open, broken)).toThrow('the signature is wrong');
  });

  it('is refused where the approval of that person is enough', () => {
    const enough = 'the approval of cto is enough';
    expect(() => assertMayDecide(alone(), { ...open, approvedBy: ['lead'] }, broken)).toThrow(enough);
    expect(() => assertMayDecide(alone(), { ...open, approvedBy: ['cto'] }, broken)).not.toThrow();
  });

  it('asks for one other person to look at it: not who approved alone or asked, not by their roles, and not alone again', () => {
    const of = { workflowId: RUN.workflowId, runId: RUN.runId };
    const { service, environment } = action;
    const look = {
      ...proposal,
      action: {
        kind: 'confirm-break-glass' as const,
        service,
        environment,
        of,
        digest: proposal.digest,
        by: 'cto',
        reason: 'x',
      },
      notBy: ['cto', 'lead'],
    };
    expect(neededFor(look, broken)).toBe(1);
    const asked = { ...open, proposal: look };
    expect(() => assertMayDecide(decision(), asked, broken)).not.toThrow();
    expect(() => assertMayDecide(decision({ person: 'cto' }), asked, broken)).toThrow(
      'a second person must look at it',
    );
    expect(() => assertMayDecide(decision({ person: 'lead' }), asked, broken)).toThrow('somebody else must decide');
    expect(() => assertMayDecide(alone({ person: 'cto' }), asked, broken)).toThrow('nobody is that alone');
    expect(() => assertMayDecide(decision({ verdict: 'declined' }), asked, broken)).toThrow('to object needs a note');
    const [from, until] = [new Date(NOW).toISOString(), new Date(NOW + 3_600_000).toISOString()];
    const people = policy.people.map((one) =>
      one.name === 'cto' ? { ...one, delegates: [{ to: 'visitor', from, until }] } : one,
    );
    expect(() => assertMayDecide(decision({ person: 'visitor' }), asked, { ...broken, people })).toThrow(
      'lacks the role',
    );
  });
});
