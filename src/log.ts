import pino from 'pino';
import type { Config } from './config.ts';
import { oneLine } from './plain-text.ts';

/** Of a line as text. */
const LONGEST = 10_000;

/** A line for people, and the run that it is about. Secrets are taken out of both. */
export type Log = (
  line: string,
  about?: { incident?: string | undefined; error?: unknown; [more: string]: unknown },
) => void;

interface Line {
  msg: string;
  incident?: string;
  err?: { message: string };
}

/** As a person reads it, on one line: the run and the error, where the line does not name them itself. */
const asText = (line: string): string => {
  const { msg, incident, err } = JSON.parse(line) as Line;
  const more = [incident, err?.message].filter((one) => one !== undefined && !msg.includes(one));
  return `${oneLine([msg, ...more].join(': '), LONGEST)}\n`;
};

/**
 * Lines of JSON on standard output, or text for people; never a secret in either. `HOLDFAST_LOG` says which, else it is JSON in
 * production.
 */
export function createLog(
  part: string,
  of: Pick<Config, 'HOLDFAST_LOG' | 'HOLDFAST_PRODUCTION' | 'temporal'>,
): { info: Log; warn: Log; error: Log } {
  const form = of.HOLDFAST_LOG ?? (of.HOLDFAST_PRODUCTION === '1' ? 'json' : 'text');
  const out = pino.destination({ dest: 1, sync: true });
  const log = pino(
    {
      base: { part },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
      hooks: { streamWrite: of.temporal.redact },
    },
    form === 'json' ? out : { write: (line: string) => void out.write(asText(line)) },
  );
  const at =
    (level: 'info' | 'warn' | 'error'): Log =>
    (line, { error, ...about } = {}) =>
      log[level]({ ...about, ...(error !== undefined && { err: error }) }, line);
  return { info: at('info'), warn: at('warn'), error: at('error') };
}
