import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openAudit, readAudit, verifyAudit } from '../src/audit.ts';

let stateDir: string;
const file = () => join(stateDir, 'audit.jsonl');
const lines = () => readFileSync(file(), 'utf8').trim().split('\n');
const tamper = (change: (lines: string[]) => string[]) => writeFileSync(file(), `${change(lines()).join('\n')}\n`);
const entry = (what: string) =>
  ({ who: 'lead', via: 'console', what, on: 'incident.shop.high-error-rate', result: 'done' }) as const;

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'holdfast-audit-'));
  const [one, other] = [openAudit(stateDir), openAudit(stateDir)];
  for (const what of ['first', 'second', 'third', 'fourth']) (what === 'second' ? other : one).write(entry(what));
  one.close();
  other.close();
});
afterEach(() => rmSync(stateDir, { recursive: true }));

it('holds as one chain what two processes have written, for its owner alone', () => {
  expect(verifyAudit(stateDir)).toEqual({ entries: 4 });
  expect(readAudit(stateDir, 2).map(({ what }) => what)).toEqual(['fourth', 'third']);
  expect(statSync(file()).mode & 0o777).toBe(0o600);
});

it.each([
  ['changed', (all: string[]) => all.map((line) => line.replace('"second"', '"another"')), 'line 2 was changed'],
  ['dropped', (all: string[]) => all.filter((_, i) => i !== 1), 'line 2 has number 3 where 2 must be'],
  ['reordered', ([a, b, c, d]: string[]) => [a, c, b, d].map(String), 'line 2 has number 3 where 2 must be'],
  ['dropped at the end', (all: string[]) => all.slice(0, 2), '2 entries were dropped at the end'],
  ['dropped, all of them', () => [], 'line 1 is no entry'],
])('finds an entry that was %s', (_, change, fault) => {
  tamper(change);
  expect(verifyAudit(stateDir).fault).toContain(fault);
});

it('finds a chain that was made anew behind a change', () => {
  rmSync(file());
  const other = mkdtempSync(join(tmpdir(), 'holdfast-audit-'));
  const forged = openAudit(other);
  for (const what of ['first', 'other', 'third', 'fourth']) forged.write(entry(what));
  forged.close();
  writeFileSync(file(), readFileSync(join(other, 'audit.jsonl')));
  rmSync(other, { recursive: true });
  expect(verifyAudit(stateDir).fault).toBe('line 4 was replaced');
});

it('goes on after half a line, which a process that died had written', () => {
  appendFileSync(file(), '{"seq":5,"at":"20');
  const audit = openAudit(stateDir);
  audit.write(entry('fifth'));
  audit.close();
  expect(verifyAudit(stateDir)).toEqual({ entries: 5 });
});

it('tells of entries that were cut off also when others have followed', () => {
  tamper((all) => all.slice(0, 2));
  const audit = openAudit(stateDir);
  audit.write(entry('fifth'));
  audit.close();
  expect(verifyAudit(stateDir).fault).toContain('line 3 has number 5 where 3 must be');
});
