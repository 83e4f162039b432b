import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporal } from '@temporalio/proto';
import { DefaultLogger, Runtime, Worker, type WorkflowBundle } from '@temporalio/worker';
import { workflowBundle } from '../../workers/bundle.ts';

Runtime.install({ logger: new DefaultLogger('ERROR') });
const folder = join(__dirname, '..', 'histories');
const files = readdirSync(folder).filter((file) => file.endsWith('.bin'));
let bundle: WorkflowBundle;
beforeAll(async () => {
  bundle = await workflowBundle('.holdfast');
});

it('has a recorded history of every outcome that a run can have', () => {
  const outcomes = new Set(files.map((file) => file.split('.')[0]));
  expect([...outcomes].sort()).toEqual([
    'confirmed',
    'declined',
    'failed',
    'handed-over',
    'mitigated',
    'not-recovered',
    'objected',
    'refused',
    'released',
    'resolved',
    'rolled-back',
    'stopped',
    'superseded',
    'taken-over',
    'unanswered',
    'watching',
  ]);
});

it('replays each of them as it was recorded', async () => {
  const recorded = files.map((file) => {
    const history = temporal.api.history.v1.History.decode(readFileSync(join(folder, file)));
    const type = history.events[0]?.workflowExecutionStartedEventAttributes?.workflowType?.name;
    return { history, workflowId: `${type}-1` }; // as the test named it
  });
  const replayed: object[] = [];
  for await (const { error } of Worker.runReplayHistories({ workflowBundle: bundle }, recorded))
    replayed.push({ file: files[replayed.length], error });
  expect(replayed).toEqual(files.map((file) => ({ file, error: undefined })));
});
