import {
  allHandlersFinished,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  patched,
} from '@temporalio/workflow';
import { Incident, type Result } from '../contracts/index.ts';
import { flapsOn, knowLast, untilQuiet } from './alerts.ts';
import { conduct, type Kit } from './conduct.ts';
import { needsAPerson } from './endings.ts';
import { holds } from './holds.ts';
import { mitigate } from './mitigate.ts';
import { ladderOf, type RunbookMeta, type Runbook } from './catalogue.ts';
import { addAlerts } from './messages.ts';
import { judged, type Run } from './run.ts';
import type { Story } from './story.ts';

/**
 * Make a runbook of its steps. The result is the workflow function, of the same name. It parses the input, answers every
 * message and query, records every ending (a failure of the automation too) and never blocks on the record.
 */
export function defineRunbook(meta: RunbookMeta, steps: (run: Run) => Promise<Result>): Runbook {
  const { name } = steps;
  const workflow = async (input: Incident): Promise<Result> => {
    const incident = Incident.parse(input);
    // Here, before anything is read: where a patch is asked about after local activities, a replay may see its marker too late.
    const returnsToGood = patched('returns-to-good');
    const { result, story } = await conduct({ name, title: meta.title, incident }, async (kit) => {
      await knowLast(kit.story);
      return await untilQuiet(kit, flapsOn(kit.story) ?? (await steps(createRun(kit, returnsToGood))));
    });
    await condition(allHandlersFinished);
    if (await ladderTakes(story)) return result;
    const carried = story.sinceClosed().filter(({ status, distinct }) => status === 'firing' && distinct > 0);
    if (carried.length === 0) return result;
    const { summary, severity } = carried[0]?.samples[0] ?? incident;
    const openedAt = new Date().toISOString();
    return await continueAsNew<Runbook>({ ...incident, summary, severity, openedAt, carried });
  };
  Object.defineProperty(workflow, 'name', { value: name });
  return Object.assign(workflow, { meta });
}

/** Whether the ladder of a hand-over has taken in what came after the last word: a person is asked already. */
async function ladderTakes(story: Story): Promise<boolean> {
  const late = story.sinceClosed(); // it grows while this tells
  if (late.length === 0 || !needsAPerson(story.status) || !patched('ladder-takes-alerts')) return false;
  const ladder = getExternalWorkflowHandle(ladderOf(story.status.workflowId));
  try {
    for (const batch of late) await ladder.signal(addAlerts, batch);
    return true;
  } catch {
    return false; // it has been answered
  }
}

function createRun(kit: Kit, returnsToGood: boolean): Run {
  const { story, policy } = kit;
  return {
    incident: story.status.incident,
    policy,
    returnsToGood,
    async check(name, doRead, judge) {
      const at = new Date().toISOString(); // of asking: when parallel answers came, a replay does not know
      const checked = await judged(doRead, judge);
      story.measure(checked.seen, at);
      story.set({
        findings: [
          ...story.status.findings,
          { check: name, verdict: checked.verdict, summary: checked.summary.slice(0, 2000) },
        ],
      });
      story.tell('checked', `${name}: ${checked.verdict}: ${checked.summary}`, undefined, at);
      return checked;
    },
    mitigate: (steps) => mitigate(kit, steps),
    holds: (doRead, judge, patient) => holds({ ...kit, patient, read: () => judged(doRead, judge) }),
  };
}
