/** Commands one after the other in one process, for each takes a second to start: their words as JSON; prints how each has ended. */
import { endingOf } from '../../src/cli/failing.ts';
import { program } from '../../src/cli/program.ts';

export interface Ended {
  code: number;
  text: string;
}

const all: Ended[] = [];
for (const words of JSON.parse(process.argv[2] ?? '[]') as string[][]) {
  const said: string[] = [];
  console.log = (text: string) => void said.push(text);
  process.exitCode = 0;
  try {
    await program.parseAsync(words, { from: 'user' });
  } catch (error) {
    const { exitCode, told } = endingOf(error);
    process.exitCode = exitCode;
    said.push(told ?? '');
  }
  all.push({ code: Number(process.exitCode), text: said.join('\n') });
}
process.exitCode = 0;
process.stdout.write(JSON.stringify(all));
