import { createActivities } from '../../activities/codes.ts';
import { oneTimeCode } from '../../src/codes.ts';
import { settings } from './settings.ts';

const secret = 'a secret of more than sixteen letters';
const codes = createActivities({ HOLDFAST_CODE_SECRET: secret }, settings);
const ask = {
  workflowId: 'incident.shop.high-error-rate',
  runId: 'run-1',
  digest: 'd'.repeat(64),
  person: 'responder',
};
const code = oneTimeCode({ secret, ...ask });

it('writes a code as two groups of four letters that cannot be misread', () => {
  const many = Array.from({ length: 500 }, (_, i) => oneTimeCode({ secret, ...ask, person: `person-${i}` }));
  for (const each of many) expect(each).toMatch(/^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$/);
  expect(new Set(many).size).toBe(many.length);
  expect(new Set(many.join('').replaceAll('-', '')).size).toBe(32);
});

it('accepts the code however it is typed', async () => {
  for (const typed of [
    code,
    code.toLowerCase(),
    ` ${code.replace('-', ' ')} `,
    code.replace('-', ''),
    code.split('').join('-'),
  ])
    await expect(codes.checkCode({ ...ask, code: typed })).resolves.toBe(true);
});

it('reads O as 0 and I and L as 1', async () => {
  const misread = Array.from({ length: 200 }, (_, i) => `person-${i}`)
    .map((person) => ({ person, code: oneTimeCode({ secret, ...ask, person }) }))
    .filter(({ code }) => /[01]/.test(code));
  expect(misread.length).toBeGreaterThan(10);
  for (const { person, code } of misread)
    for (const one of ['I', 'l'])
      await expect(
        codes.checkCode({ ...ask, person, code: code.replaceAll('0', 'o').replaceAll('1', one) }),
      ).resolves.toBe(true);
});

it('refuses the code of another person, proposal, run, incident or secret', async () => {
  for (const other of [
    { person: 'lead' },
    { digest: 'e'.repeat(64) },
    { runId: 'run-2' },
    { workflowId: 'incident.other' },
  ])
    await expect(codes.checkCode({ ...ask, ...other, code })).resolves.toBe(false);
  const elsewhere = createActivities({ HOLDFAST_CODE_SECRET: `${secret}!` }, settings);
  await expect(elsewhere.checkCode({ ...ask, code })).resolves.toBe(false);
});

it('refuses what is no code', async () => {
  for (const typed of ['', '----', code.slice(0, -1), `${code}0`, 'ÄÖÜß-ÄÖÜß', '🔑🔑'])
    await expect(codes.checkCode({ ...ask, code: typed })).resolves.toBe(false);
});
