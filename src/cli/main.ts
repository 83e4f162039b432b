/** `npm run holdfast -- <command>`. Exit codes: 0 done, and as `endingOf` has them. */
import { enableCompileCache } from 'node:module';

enableCompileCache(); // before what is large is loaded: the next command starts in half the time
const { endingOf } = await import('./failing.ts');
const { program } = await import('./program.ts');

try {
  await program.parseAsync();
} catch (error) {
  const { exitCode, told } = endingOf(error);
  if (told !== undefined) console.error(told);
  process.exitCode = exitCode;
}
