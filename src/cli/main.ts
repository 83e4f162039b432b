/** `npm run holdfast -- <command>`. Exit codes: 0 done, and as `endingOf` has them. */
import { enableCompileCache } from 'node:module';

enableCompileCache(); // before what is large is loaded: the next command starts in half the time
const { endingOf } = await import('./failing.ts');
const { program } = await import('./program.ts');

/** As a shell calls the end by that signal. */
const SIGPIPE = 128 + 13;
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(SIGPIPE); // its reader, such as `head`, has read enough
});

try {
  await program.parseAsync();
} catch (error) {
  const { exitCode, told } = endingOf(error);
  if (told !== undefined) console.error(told);
  process.exitCode = exitCode;
}
