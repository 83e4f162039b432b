import { execFileSync } from 'node:child_process';
import { copyFileSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { temporal } from '@temporalio/proto';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import * as workflows from '../../workflows/index.ts';
import { workflowBundle } from '../../workers/bundle.ts';
import { scratchFolder } from '../embedded/scratch.ts';

Runtime.install({ logger: new DefaultLogger('ERROR') });
const folder = join(__dirname, '..', 'histories');
/** Those of the present, and in a folder of its version those of each release. */
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.bin'));
let code: string;
beforeAll(async () => {
  ({ code } = await workflowBundle('.holdfast'));
});

type History = temporal.api.history.v1.IHistory;
const recordedIn = (file: string): History => temporal.api.history.v1.History.decode(readFileSync(join(folder, file)));
const typeOf = ({ events }: History): string =>
  events?.[0]?.workflowExecutionStartedEventAttributes?.workflowType?.name ?? '';
const endingOf = (file: string): string => file.split('/').at(-1)?.split('.')[0] ?? '';

/** What the SDK says of a replay that went elsewhere, after the event (or those of the same name) at which it did. */
function told(message: string, { events }: History): string {
  const [, said = message] = /Nondeterminism error: (.*?)\\?", source:/s.exec(message) ?? [];
  const [, name] = /event '([^']+)'/.exec(said) ?? [];
  const ids = (events ?? []).flatMap(({ eventId, activityTaskScheduledEventAttributes: of }) =>
    of?.activityType?.name === name ? [String(eventId)] : [],
  );
  return ids.length === 0 ? said : `event ${ids.join(' or ')}: ${said}`;
}

/** The histories that workflows do not replay: the file, the event at which they do something else, and what. */
async function differing(of: { code: string; files: string[] }): Promise<string[]> {
  const recorded = of.files.map((file) => {
    const history = recordedIn(file);
    return { file, history, workflowId: `${typeOf(history)}-1` }; // as the test named it
  });
  const options = {
    workflowBundle: { code: of.code },
    sinks: {
      failures: { workflowFailed: { fn: () => undefined } },
      runners: { effectEnded: { fn: () => undefined } },
    },
  };
  const found: (string | undefined)[] = [];
  for await (const { error } of Worker.runReplayHistories(options, recorded)) {
    const { file = '', history = {} } = recorded[found.length] ?? {};
    found.push(error && `${file}: ${told(error.message, history)}`);
  }
  expect(found).toHaveLength(recorded.length);
  return found.filter((one) => one !== undefined);
}

const OF_INCIDENTS = 'declined failed handed-over mitigated not-recovered resolved stopped taken-over unanswered';
const OF_DEPLOYMENTS = 'failed handed-over refused released rolled-back stopped superseded taken-over';
/** How each can end; `watching`: it never does. */
const ENDINGS: Record<string, string> = {
  highErrorRate: OF_INCIDENTS,
  databaseConnectionIssues: OF_INCIDENTS,
  performanceDegradation: OF_INCIDENTS,
  triage: 'handed-over', // proposes nothing and waits for nobody
  productionDeployment: `${OF_DEPLOYMENTS} declined unanswered`,
  stagingDeployment: OF_DEPLOYMENTS, // nobody approves it
  rollback: 'failed refused released stopped superseded taken-over', // nobody approves it, and it takes nothing back
  breakGlass: 'confirmed objected',
  escalation: 'resolved stopped taken-over unanswered',
  postIncident: 'mitigated', // of the incident that it reviews
  monitorService: 'watching',
  serviceControl: 'watching',
  drillRunbooks: 'watching',
  weeklyDigest: 'watching',
};
/** One activity after the other, in one order. */
const STRAIGHT = ['deployRelease', 'proposeChange', 'recordIncident'];

it('has a recorded history of every way in which each workflow can end', () => {
  const recorded = Map.groupBy(files, (file) => typeOf(recordedIn(file)));
  const table = [...recorded].map(([type, of]) => [type, [...new Set(of.map(endingOf))].sort()]);
  const wanted = Object.entries(ENDINGS).map(([type, endings]) => [type, endings.split(' ').sort()]);
  expect(Object.fromEntries(table)).toEqual(Object.fromEntries(wanted));
  const all = Object.entries(workflows).filter(([, one]) => typeof one === 'function');
  expect(all.map(([type]) => type).sort()).toEqual([...Object.keys(ENDINGS), ...STRAIGHT].sort());
});

it('replays each of them as it was recorded', async () => {
  expect(await differing({ code, files })).toEqual([]);
});

it('names the history and the event that workflows whose order has changed do not replay', async () => {
  const changed = code.replace(/(ledger\(scope\)),(\s*)(look\.recentReleases\(scope\))/, '$3,$2$1');
  expect(changed === code).toBe(false);
  const recorded = files.filter((file) => typeOf(recordedIn(file)) === 'rollback' && file.startsWith('stopped.'));
  expect(await differing({ code: changed, files: recorded })).toEqual([
    expect.stringMatching(
      /^stopped\.rollback-.*\.bin: event \d+: Activity type of scheduled event 'ledger' does not match .* 'recentReleases'$/,
    ),
  ]);
});

it('freezes the histories of a release in a folder of its version, once', () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  const scratch = scratchFolder();
  const [file = ''] = files;
  copyFileSync(join(folder, file), join(scratch, 'one.bin'));
  const freeze = () =>
    execFileSync(process.execPath, ['scripts/freeze-histories.mjs', scratch], { encoding: 'utf8', stdio: 'pipe' });
  expect(freeze()).toContain(`1 histories are those of ${version}`);
  expect(readFileSync(join(scratch, version, 'one.bin'))).toEqual(readFileSync(join(folder, file)));
  expect(freeze).toThrow(`the histories of ${version} are frozen`);
  rmSync(scratch, { recursive: true });
});
