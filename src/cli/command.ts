import { connect, type Context } from './context.ts';

/** Print for a program, where asked to, or for people. */
export const out = (json: boolean | undefined, value: unknown, text: string): void =>
  console.log(json === true ? JSON.stringify(value, null, 2) : text);

/** Progress: not among what is printed for a program. */
export const progress = (json: boolean | undefined): ((line: string) => void) =>
  json === true ? (line) => console.error(line) : (line) => console.log(line);

/** A command that talks to Temporal, and leaves when it is done. */
export const withContext =
  <A extends unknown[], T = void>(run: (context: Context, ...args: A) => Promise<T>) =>
  async (...args: A): Promise<T> => {
    const context = await connect();
    try {
      return await run(context, ...args);
    } finally {
      await context.close();
    }
  };
