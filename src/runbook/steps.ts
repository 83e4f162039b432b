import type { Effect, Step } from '../contracts/index.ts';
import { say, typeOf } from './failures.ts';
import type { Story } from './story.ts';

export interface StepPlan {
  name: string;
  /** What taking it back means, for those who approve. */
  undo?: string;
}

/** The steps of one procedure, as people see them, and how each is taken back. */
export function createSteps(story: Story) {
  const leftOut: string[] = [];
  const undos: { name: string; undo: () => Promise<Effect> }[] = [];
  const show = (name: string, change: Partial<Step>): void => {
    const steps = story.status.steps ?? [];
    const known = steps.some((step) => step.name === name);
    const all: Step[] = known ? steps : [...steps, { name, state: 'planned' }];
    story.set({ steps: all.map((step) => (step.name === name ? { ...step, ...change } : step)) });
  };
  const now = (): string => new Date().toISOString();
  return {
    plan: (steps: StepPlan[]): void => story.set({ steps: steps.map((step) => ({ ...step, state: 'planned' })) }),
    /** Noted before the step is done: what was cut short may have been done in part. */
    undoable(name: string, undo: () => Promise<Effect>): void {
      if (!undos.some((one) => one.name === name)) undos.push({ name, undo });
    },
    /** From here on nothing is taken back: what came before stands. */
    settle: (): void => void undos.splice(0),
    begin(name: string): void {
      story.set({ phase: 'deploying', doing: `${name}.`, next: 'The steps that are left; what fails is taken back.' });
      show(name, { state: 'running', at: now() });
      story.tell('step', `Begun: ${name}`);
    },
    done(name: string, detail: string): void {
      show(name, { state: 'done', endedAt: now(), detail: detail.slice(0, 500) });
      story.tell('step-done', `${name}: ${detail}`);
    },
    failed(name: string, why: string): void {
      show(name, { state: 'failed', endedAt: now(), detail: why.slice(0, 500) });
      story.tell('step-failed', `${name} has failed: ${why}`);
    },
    /** `counts`: what is left out keeps the release from being verified good. */
    skipped(name: string, { counts }: { counts: boolean }): void {
      if (counts) leftOut.push(name);
      show(name, { state: 'skipped', endedAt: now() });
      story.tell('step-skipped', `Left out: ${name}`);
    },
    /** Steps that a person had left out. */
    leftOut: (): string[] => leftOut,
    /** What would be taken back now, newest first. */
    undoing: (): string =>
      undos
        .map(({ name }) => name)
        .toReversed()
        .join(', then ')
        .slice(0, 400) || 'nothing was done yet',
    /** Take back in reverse order. What cannot be taken back does not keep the rest from it. */
    async undoAll(): Promise<{ undone: number; failed: string | undefined }> {
      const failed: string[] = [];
      let undone = 0;
      for (const { name, undo } of undos.toReversed()) {
        story.set({ phase: 'undoing', doing: `Taking back: ${name}.`, next: 'Close.' });
        try {
          const { changed, repeated, summary } = await undo();
          const taken = changed || repeated === true;
          if (taken) undone += 1;
          if (taken) show(name, { state: 'undone', detail: summary.slice(0, 500) });
          story.tell('undone', `${taken ? 'Taken back' : 'Nothing to take back'}: ${name}: ${summary}`);
        } catch (error) {
          if (typeOf(error) === 'Fenced') {
            story.tell('superseded', `Left to the later change: ${name}: ${say(error)}`);
            continue;
          }
          show(name, { state: 'not-undone', detail: say(error).slice(0, 500) });
          story.tell('undo-failed', `Not taken back: ${name}: ${say(error)}`);
          failed.push(`taking back "${name}" failed, look at once: ${say(error)}`);
        }
      }
      return { undone, failed: failed.length === 0 ? undefined : failed.join('; ') };
    },
  };
}
