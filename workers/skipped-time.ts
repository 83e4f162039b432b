import { TestWorkflowEnvironment } from '@temporalio/testing';
import { SEARCH_ATTRIBUTES } from '../src/contracts/index.ts';
import { temporalTestServer } from '../src/embedded/temporal.ts';

/** Of `temporal.api.enums.v1.IndexedValueType`. */
const TYPES = { Keyword: 2, KeywordList: 7 };

/** A Temporal server that skips time, with Holdfast's search attributes. @throws Error that says what the machine lacks. */
export async function skippingServer(): Promise<TestWorkflowEnvironment> {
  const path = await temporalTestServer().catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`this machine has no Temporal server that skips time, without which no drill runs: ${why}`, {
      cause,
    });
  });
  const env = await TestWorkflowEnvironment.createTimeSkipping({
    server: { executable: { type: 'existing-path', path } },
  });
  const searchAttributes = Object.fromEntries(
    Object.entries(SEARCH_ATTRIBUTES).map(([name, type]) => [name, TYPES[type]]),
  );
  await env.connection.operatorService.addSearchAttributes({ namespace: 'default', searchAttributes });
  return env;
}
