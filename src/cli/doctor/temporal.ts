import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection, isGrpcServiceError } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import type { Config } from '../../config.ts';
import { SEARCH_ATTRIBUTES } from '../../contracts/index.ts';
import { knownAgainst, olderThan } from './advisories.ts';
import { checked, failed, ok, warning, type Finding } from './finding.ts';
import { checkWorkers } from './workers.ts';

/** Below it worker versioning by deployment is not what it is now. */
const FLOOR = '1.32.0';
const CLOUD = /\.(tmprl\.cloud|temporal\.io)(:\d+)?$/;
const RETENTION_DAYS = 7;
const DAY_SECONDS = 24 * 60 * 60;
const SKEW_MS = { warning: 5000, failed: 60_000 };
const VALUE_TYPE = { Keyword: 2, KeywordList: 7 } as const;
const PROBE = 'holdfast-doctor';
const NOT_FOUND = 5;

interface Asked {
  client: Client;
  connection: Connection;
  namespace: string;
  /** Whether payloads are. */
  encrypted: boolean;
  fix: boolean;
}

/**
 * Temporal as Holdfast needs it: version, namespace, retention, search attributes, clock, codec, workers, `runners`. Workers that
 * start after this are not looked for (`later`).
 */
export async function checkTemporal(
  config: Config,
  fix: boolean,
  runners: string[] | 'later' = [],
): Promise<Finding[]> {
  const { address, namespace, dataConverter } = config.temporal;
  const remedy = 'start it, or set TEMPORAL_ADDRESS (TEMPORAL_PROFILE, TEMPORAL_TLS, TEMPORAL_API_KEY) to where it is';
  return await checked('temporal', remedy, async () => {
    const connection = await Connection.connect({ ...config.temporal.connection, connectTimeout: '5 seconds' });
    try {
      const client = new Client({ connection, namespace, dataConverter });
      const encrypted = dataConverter.failureConverterPath !== undefined;
      const asked = { connection, client, namespace, encrypted, fix };
      const found = [
        ok('temporal', `answers at ${address}`),
        ...(await version(asked, address)),
        ...(await namespaceOf(asked)),
      ];
      if (found.some(({ check, state }) => check === 'namespace' && state === 'failed')) return found;
      return [
        ...found,
        ...(await checked('search attributes', 'ask its administrator', () => searchAttributes(asked))),
        ...(await checked('clock and codec', 'the API key or role must be able to start workflows', () =>
          probe(asked),
        )),
        ...(runners === 'later'
          ? []
          : await checked('workers', 'ask its administrator', () =>
              checkWorkers(client, config.HOLDFAST_TASK_QUEUE, runners),
            )),
      ];
    } finally {
      await connection.close();
    }
  });
}

async function version({ connection }: Asked, address: string): Promise<Finding[]> {
  const { serverVersion } = await connection.workflowService.getSystemInfo({});
  const says = `server ${serverVersion}`;
  const upgrade = `Holdfast is tried with ${FLOOR} and newer: upgrade it, one minor version at a time`;
  const known = CLOUD.test(address) ? [] : knownAgainst(serverVersion);
  return [
    olderThan(serverVersion, FLOOR) ? warning('version', says, upgrade) : ok('version', says),
    ...(known.length > 0 ? [warning('version', `${says} has known weaknesses: ${known.join(', ')}`, upgrade)] : []),
  ];
}

/** Temporal's own parts learn of a new namespace within ten seconds. */
async function usable({ client, namespace }: Asked): Promise<void> {
  const query = { namespace, taskQueue: { name: PROBE }, taskQueueType: 1 };
  for (let tried = 0; tried < 40; tried += 1) {
    const known = await client.workflowService.describeTaskQueue(query).catch(() => undefined);
    if (known !== undefined) return;
    await sleep(500);
  }
}

async function namespaceOf(asked: Asked): Promise<Finding[]> {
  const { connection, namespace, fix } = asked;
  try {
    const { config } = await connection.workflowService.describeNamespace({ namespace });
    const days = Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0) / DAY_SECONDS;
    const says = `closed runs are kept for ${days} days`;
    return [
      ok('namespace', `"${namespace}" is there`),
      days < RETENTION_DAYS
        ? warning(
            'retention',
            says,
            `temporal operator namespace update -n ${namespace} --retention ${RETENTION_DAYS}d: a review looks back at the incident`,
          )
        : ok('retention', says),
    ];
  } catch (error) {
    if (!isGrpcServiceError(error) || Number(error.code) !== NOT_FOUND) throw error;
    const remedy = 'run this with --fix, or correct TEMPORAL_NAMESPACE';
    if (!fix) return [failed('namespace', `there is no "${namespace}"`, remedy)];
    const workflowExecutionRetentionPeriod = msToTs(`${RETENTION_DAYS} days`);
    await connection.workflowService.registerNamespace({ namespace, workflowExecutionRetentionPeriod });
    await usable(asked);
    return [
      { check: 'namespace', state: 'fixed', says: `"${namespace}" was registered, ${RETENTION_DAYS} days are kept` },
    ];
  }
}

async function searchAttributes({ connection, namespace, fix }: Asked): Promise<Finding[]> {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  const wanted = Object.entries(SEARCH_ATTRIBUTES);
  const wrong = wanted.filter(
    ([name, type]) => ![undefined, VALUE_TYPE[type]].includes(customAttributes?.[name] as never),
  );
  const missing = wanted.filter(([name]) => customAttributes?.[name] === undefined);
  if (wrong.length > 0)
    return [
      failed(
        'search attributes',
        `of another type: ${wrong.map(([name]) => name).join(', ')}`,
        'use another namespace',
      ),
    ];
  if (missing.length === 0) return [ok('search attributes', `all ${wanted.length} are there`)];
  const names = missing.map(([name]) => name).join(', ');
  if (!fix) return [failed('search attributes', `missing: ${names}`, 'run this with --fix')];
  await connection.operatorService.addSearchAttributes({
    namespace,
    searchAttributes: Object.fromEntries(missing.map(([name, type]) => [name, VALUE_TYPE[type]])),
  });
  return [{ check: 'search attributes', state: 'fixed', says: `created: ${names}` }];
}

/** Starts a run that no worker takes, reads back when that was and what it says, and ends it. */
async function probe({ client, namespace, encrypted }: Asked): Promise<Finding[]> {
  const memo = { says: `read back ${Date.now()}` };
  const from = Date.now();
  const handle = await client.workflow.start('doctor', { workflowId: PROBE, taskQueue: PROBE, memo });
  const to = Date.now();
  try {
    const { startTime, memo: read } = await handle.describe();
    const skew = Math.max(0, startTime.getTime() - to, from - startTime.getTime());
    const says = `the clock here and Temporal's differ by ${skew} ms at least`;
    const remedy = 'keep both by NTP: codes and signed decisions expire by the clock';
    const grave = skew >= SKEW_MS.failed ? failed : warning;
    return [
      skew < SKEW_MS.warning ? ok('clock', says) : grave('clock', says, remedy),
      read?.['says'] === memo.says
        ? ok('codec', encrypted ? 'what was encrypted came back' : 'payloads are plain text (HOLDFAST_CODEC_KEYS)')
        : failed('codec', 'what was written came back as something else', 'look at HOLDFAST_CODEC_KEYS'),
    ];
  } finally {
    await handle.terminate('the doctor has read it');
    const { workflowService } = client;
    await workflowService
      .deleteWorkflowExecution({ namespace, workflowExecution: { workflowId: PROBE } })
      .catch(() => undefined); // it is gone with the retention at the latest
  }
}
