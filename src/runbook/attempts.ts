import type { Action, Attempt } from '../contracts/index.ts';
import type { AnyRemedy } from './run.ts';
import type { Story } from './story.ts';

/** What an action is done to, so that two of one kind can be told apart; empty where the service itself is meant. */
export function targetOf(action: Action): string {
  switch (action.kind) {
    case 'roll-back':
      return action.from;
    case 'deploy':
      return action.version;
    case 'switch-off-flag':
      return action.flag;
    case 'create-index':
      return `${action.schema}.${action.table}(${action.columns.join(',')})`.slice(0, 120);
    case 'end-sessions':
      return [...new Set(action.sessions.map(({ application }) => application))].join(',').slice(0, 120);
    case 'reconnect-pool':
    case 'resize-pool':
      return action.pool;
    default:
      return '';
  }
}

/** Keeps in the status what one remedy came to; called again when more is known of it. */
export function noteOf(story: Story, { action, summary }: Pick<AnyRemedy, 'action' | 'summary'>) {
  const at = new Date().toISOString();
  const own = { kind: action.kind, target: targetOf(action), summary, at };
  const before = story.status.attempts ?? [];
  return (result: Attempt['result'], undo?: Attempt['undo']): void => {
    const attempt: Attempt = { ...own, result, endedAt: new Date().toISOString(), ...(undo !== undefined && { undo }) };
    story.set({ attempts: [...before, attempt].slice(-8) });
  };
}
