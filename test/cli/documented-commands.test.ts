/** Every command that the documents name is one, with these options. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { program } from '../../src/cli/program.ts';

const ROOT = join(__dirname, '..', '..');
const documents = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/*.md', { cwd: ROOT })];
/** A command as it is written: up to a comment, a pipe, a redirection, or the end of the code. */
const WRITTEN = /(?:npm run -s holdfast -- |`holdfast )([a-z][^`#|><)\n]*(?:<[\w ]+>[^`#|><)\n]*)*)/g;

const written = documents.flatMap((file) =>
  [...readFileSync(join(ROOT, file), 'utf8').matchAll(WRITTEN)].map(([, command = '']) => command.trim()),
);
it('finds the commands that it is to hold', () => {
  expect(written.length).toBeGreaterThan(30);
  expect(written).toContain('deploy shop staging --as responder --ref v3');
});

it.each([...new Set(written)])('%s', (command) => {
  const words = (command.match(/"[^"]*"|\S+/g) ?? []).filter((word) => !/^[<[]/.test(word));
  const named = (among: typeof program, name: string | undefined) => among.commands.find((one) => one.name() === name);
  const first = named(program, words[0]);
  const told = first?.commands.length ? named(first, words[1]) : first;
  const options = told?.options.map(({ long }) => long);
  expect(options).toEqual(expect.arrayContaining(words.filter((word) => word.startsWith('--'))));
});
