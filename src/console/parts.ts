import { ApplicationFailure } from '@temporalio/common';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { SignIn } from '../auth.ts';
import type { FailureType } from '../errors.ts';
import type { Trail } from '../audit.ts';
import type { Access } from '../operations/temporal.ts';
import type { IncidentRecord } from '../record.ts';
import type { openSilences } from '../silences.ts';
import type { Board } from './board.ts';
import type { Live } from './live.ts';
import type { Store } from './store.ts';

/** What console and API are made of. */
export interface Parts extends Trail {
  access: Access;
  store: Store;
  board: () => Promise<Board>;
  live: Live;
  /** Those of the gateway. */
  silences: Pick<ReturnType<typeof openSilences>, 'list' | 'add' | 'remove'>;
  /** Absent where no Supabase Auth is configured: nobody can sign in. */
  signIn: SignIn | undefined;
  /** Absent where no record is configured: nothing past can be searched. */
  record: IncidentRecord | undefined;
}

const STATUS: Record<FailureType, ContentfulStatusCode> = {
  NotFound: 404,
  NotAllowed: 403,
  Refused: 409,
  NotConfigured: 503,
  StaleApproval: 409,
  Fenced: 409,
  ReleaseFailed: 409,
  NotProved: 409,
  UnexpectedResponse: 502,
  RateLimited: 429,
  Unavailable: 503,
};

/** A failure as HTTP says it; `undefined` for what is none of the closed list. */
export function refusalOf(error: unknown): { status: ContentfulStatusCode; told: string } | undefined {
  if (!(error instanceof ApplicationFailure)) return undefined;
  const status = Object.hasOwn(STATUS, error.type ?? '') ? STATUS[error.type as FailureType] : 409;
  return { status, told: error.message };
}
