import { generateKeyPairSync } from 'node:crypto';
import { simulatedCode } from '../../activities/simulator.ts';
import { incident, policyOf, signedDecision, skippedTime, type SkippedTime } from '../support/skipped-time.ts';

let time: SkippedTime;
beforeEach(async () => {
  time = await skippedTime();
});
afterEach(() => time.close());

describe('approval', () => {
  it('takes a one-time code from the Temporal UI', async () => {
    const run = await time.start('highErrorRate', incident());
    await run.until(({ phase }) => phase === 'waiting');
    await run.handle.signal('approve', { by: 'responder', code: simulatedCode('responder') });
    expect(await run.result()).toMatchObject({ outcome: 'mitigated' });
    expect((await run.status()).decision).toMatchObject({ by: ['responder'], via: 'temporal-ui' });
  });

  it("records a wrong code, another person's code, a name without a code and an unknown name, and changes nothing", async () => {
    const run = await time.start('highErrorRate', incident());
    await run.until(({ phase }) => phase === 'waiting');
    for (const input of [
      { by: 'responder', code: 'WRONG-ONE' },
      { by: 'responder', code: simulatedCode('lead') },
      { by: 'responder' },
      { by: 'stranger', code: simulatedCode('stranger') },
      { by: 'visitor', code: simulatedCode('visitor') },
      'yes',
    ])
      await run.handle.signal('approve', input);
    const { timeline, phase } = await run.until(
      ({ timeline: lines }) => lines.filter(({ kind }) => kind === 'refused').length === 6,
    );
    expect(phase).toBe('waiting');
    expect(timeline.filter(({ kind }) => kind === 'refused').map(({ what }) => what)).toEqual(
      expect.arrayContaining([
        expect.stringContaining('not one for responder'),
        expect.stringContaining('not a person'),
        expect.stringContaining('lacks the role'),
      ]),
    );
    await run.handle.signal('stop', { by: 'test' });
    expect(await run.result()).toMatchObject({ outcome: 'stopped' });
    expect(run.calls).not.toContain('rollBack');
  });

  it('locks a person for the proposal after five wrong codes', async () => {
    const run = await time.start('highErrorRate', incident());
    await run.until(({ phase }) => phase === 'waiting');
    for (let i = 0; i < 5; i += 1) await run.handle.signal('approve', { by: 'responder', code: `WRONG-${i}` });
    await run.handle.signal('approve', { by: 'responder', code: simulatedCode('responder') });
    const { timeline } = await run.until(
      ({ timeline: lines }) => lines.filter(({ kind }) => kind === 'refused').length === 6,
    );
    expect(timeline.some(({ what }) => what.includes('locked'))).toBe(true);
    await run.decide('approved', 'lead');
    expect(await run.result()).toMatchObject({ outcome: 'mitigated' });
  });

  it('counts a code once where two people are needed', async () => {
    const policy = policyOf();
    const run = await time.start('highErrorRate', incident(), {
      policy: async () => ({
        ...policy,
        approval: { ...policy.approval, medium: { roles: ['approver'], quorum: 2, fourEyes: true, byPolicy: false } },
      }),
    });
    await run.until(({ phase }) => phase === 'waiting');
    await run.handle.signal('approve', { by: 'responder', code: simulatedCode('responder') });
    await run.handle.signal('approve', { by: 'responder', code: simulatedCode('responder') });
    const { phase } = await run.until(({ timeline }) => timeline.some(({ what }) => what.includes('counted already')));
    expect(phase).toBe('waiting');
    await run.decide('approved', 'lead');
    expect(await run.result()).toMatchObject({ outcome: 'mitigated' });
    expect((await run.status()).decision?.by).toEqual(['responder', 'lead']);
  });

  it('takes silence for a no where the rule says so, as soon as it says', async () => {
    const policy = policyOf();
    const medium = { ...policy.approval.medium, expires: '3 minutes', onExpiry: 'reject' as const };
    const run = await time.start('highErrorRate', incident(), {
      policy: async () => ({ ...policy, approval: { ...policy.approval, medium } }),
    });
    const { proposal, timeline } = await run.until(({ phase }) => phase === 'waiting');
    const proposed = timeline.find(({ kind }) => kind === 'proposed')?.at ?? '';
    expect(Date.parse(proposal?.expiresAt ?? '') - Date.parse(proposed)).toBe(180_000);
    expect(await run.result()).toMatchObject({ outcome: 'declined', note: expect.stringContaining('nobody answered') });
    expect((await run.status()).decision).toMatchObject({ verdict: 'declined', by: ['policy:medium-risk'] });
    expect(run.pages.map(({ person }) => person)).toEqual(['responder']);
    expect(run.calls).not.toContain('rollBack');
  });

  it('keeps a question open for as long as the rule says, also where the ladder has been climbed', async () => {
    const policy = policyOf();
    const medium = { ...policy.approval.medium, expires: '8 hours' };
    const run = await time.start('highErrorRate', incident(), {
      policy: async () => ({ ...policy, approval: { ...policy.approval, medium } }),
    });
    await run.until(({ phase }) => phase === 'waiting');
    await time.env.sleep('7 hours');
    expect(await run.status()).toMatchObject({ phase: 'waiting' });
    await run.decide('approved', 'lead');
    expect(await run.result()).toMatchObject({ outcome: 'mitigated' });
  });

  it('tells who won to whoever decides too late, with a key as with a code', async () => {
    const run = await time.start('highErrorRate', incident());
    const waiting = await run.until(({ phase }) => phase === 'waiting');
    const [won, lost] = await Promise.allSettled([
      run.handle.executeUpdate('decide', { args: [signedDecision(waiting, 'responder', 'approved')] }),
      run.handle.executeUpdate('decide', { args: [signedDecision(waiting, 'lead', 'declined')] }),
    ]);
    await run.handle.signal('reject', { by: 'cto', code: simulatedCode('cto') });
    expect([won.status, lost.status].sort()).toEqual(['fulfilled', 'rejected']);
    const { decision, timeline } = await run.until(({ timeline: lines }) =>
      lines.some(({ what }) => what.includes('said to be cto')),
    );
    const winner = `it was ${decision?.verdict} already by ${decision?.by[0]} via cli`;
    const [loser] = [won, lost].filter((one) => one.status === 'rejected');
    expect(loser?.reason).toMatchObject({ cause: { message: winner } });
    expect(timeline).toContainEqual(
      expect.objectContaining({
        kind: 'refused',
        what: `A request to reject changed nothing: ${winner} (said to be cto)`,
      }),
    );
    await run.result();
  });

  it('rejects a forged signature, a decision for another digest and a person without the role', async () => {
    const run = await time.start('highErrorRate', incident());
    const waiting = await run.until(({ phase }) => phase === 'waiting');
    const update = (decision: object) => run.handle.executeUpdate('decide', { args: [decision] });
    const cause = (message: string) =>
      expect.objectContaining({ cause: expect.objectContaining({ message: expect.stringContaining(message) }) });
    await expect(
      update(signedDecision(waiting, 'responder', 'approved', { key: generateKeyPairSync('ed25519').privateKey })),
    ).rejects.toEqual(cause('signature is wrong'));
    await expect(update({ ...signedDecision(waiting, 'responder', 'approved'), person: 'lead' })).rejects.toEqual(
      cause('signature is wrong'),
    );
    await expect(
      update(
        signedDecision(
          { ...waiting, proposal: { ...waiting.proposal!, digest: 'f'.repeat(64) } },
          'responder',
          'approved',
        ),
      ),
    ).rejects.toEqual(cause('another proposal'));
    await expect(update(signedDecision(waiting, 'visitor', 'approved'))).rejects.toEqual(cause('lacks the role'));
    expect((await run.status()).phase).toBe('waiting');
    await run.handle.signal('stop', {});
    await run.result();
  });

  it('holds the ladder when somebody acknowledges, and climbs on when that is stale', async () => {
    const run = await time.start('highErrorRate', incident());
    await run.until(({ phase }) => phase === 'waiting');
    await run.handle.signal('acknowledge', { by: 'responder' });
    expect((await run.until(({ acknowledgedBy }) => acknowledgedBy !== undefined)).acknowledgedBy).toBe('responder');
    await time.env.sleep('25 minutes');
    expect(run.pages.map(({ person }) => person)).toEqual(['responder']);
    expect(await run.result()).toMatchObject({ outcome: 'unanswered' });
    expect(run.pages.filter(({ asks }) => asks).map(({ person }) => person)).toEqual([
      'responder',
      'responder',
      'lead',
      'cto',
    ]);
    expect((await run.status()).timeline.map(({ kind }) => kind)).toContain('stale');
  });
});
