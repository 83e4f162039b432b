import { DefaultFailureConverter } from '@temporalio/common';

/** Moves a failure's message and stack trace into a payload, which the codec encrypts. Loaded by path, in the workflow sandbox too. */
export const failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
