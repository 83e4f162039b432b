/** Commands about what came after an incident: its review, its cause, its action items, and what was learned. */
import type { Command } from 'commander';
import type { CauseWord, ItemWord, Learned, Review } from '../contracts/index.ts';
import { pastReviews, reviewOf, searched, tellReview } from '../operations/reviews.ts';
import { recordOf } from '../record.ts';
import { trialOf } from '../runbook/review-items.ts';
import { out, withContext } from './command.ts';
import { assertPerson, assertService, usageError, type Context } from './context.ts';
import { noting } from './noting.ts';
import { kebab } from '../runbook/catalogue.ts';

const NOT_FOUND = 4;

interface Said {
  as: string;
  json?: boolean;
}

export function reviewCommands(program: Command): void {
  program
    .command('reviews [service]')
    .description('what was learned from incidents, newest first, with the action items that are open')
    .option('--search <words>', 'only those in which all of these words are')
    .option('--open', 'only those with open action items')
    .option('--json')
    .action(
      withContext(
        async (context, service: string | undefined, of: { search?: string; open?: boolean; json?: boolean }) => {
          if (service !== undefined) assertService(context.settings, service);
          const { learned, unknown } = await pastReviews(context, recordOf(context.config.env));
          if (unknown !== undefined) console.error(unknown);
          const found = searched(learned, { service, search: of.search, open: of.open });
          out(of.json, found, found.length === 0 ? 'no reviews' : found.map(learnedLines).join('\n'));
        },
      ),
    );
  program
    .command('review <id>')
    .description('causes, action items and document of one review; <id> is its own or the incident’s, then the newest')
    .option('--json')
    .action(
      withContext(async (context, id: string, { json }: { json?: boolean }) => {
        const review = await reviewOf(context, await idOf(context, id), recordOf(context.config.env));
        out(json, review, reviewText(review));
      }),
    );
  program
    .command('confirm-cause <id>')
    .description('say what the cause was: one that is suspected, by its number, or another in words')
    .requiredOption('--as <person>')
    .requiredOption('--cause <number or words>')
    .option('--reason <text>', 'why')
    .option('--json')
    .action(
      withContext(
        async (context, id: string, { as: by, cause, reason, json }: Said & Record<'cause' | 'reason', string>) => {
          const review = await tell(context, id, 'confirmCause', { by, cause, reason });
          out(json, review, `confirmed by ${by}: ${review.causes[0]?.what}`);
        },
      ),
    );
  program
    .command('skip-review <id>')
    .description('leave the cause unconfirmed')
    .requiredOption('--as <person>')
    .requiredOption('--reason <text>', 'why')
    .option('--json')
    .action(
      withContext(async (context, id: string, { as: by, reason, json }: Said & { reason: string }) => {
        const workflowId = await idOf(context, id);
        await noting(context.config, { who: by, what: 'skip-review', on: workflowId, detail: reason }, () =>
          context.client.workflow.getHandle(workflowId).signal('skipReview', { by, text: reason }),
        );
        out(json, { review: workflowId, skippedBy: by }, `skipped by ${by}: ${workflowId}`);
      }),
    );
  const items = program.command('action-item').description('action items of a review');
  items
    .command('close <id> <item> [text]')
    .description('it is done')
    .requiredOption('--as <person>')
    .option('--json')
    .action(
      withContext(async (context, id: string, item: string, text: string | undefined, { as: by, json }: Said) => {
        const review = await tell(context, id, 'closeItem', { by, item, text });
        out(json, review, `closed by ${by}: ${item}`);
      }),
    );
  items
    .command('change <id> <item>')
    .description('give it to another, or more time')
    .requiredOption('--as <person>')
    .option('--owner <person>')
    .option('--due <time>', 'ISO 8601')
    .option('--json')
    .action(
      withContext(async (context, id: string, item: string, options: Said & { owner?: string; due?: string }) => {
        const { as: by, owner, due, json } = options;
        if (owner !== undefined) assertPerson(context.settings, owner);
        if (due !== undefined && Number.isNaN(Date.parse(due)))
          throw usageError('--due must be a time such as 2026-12-24');
        const dueAt = due === undefined ? undefined : new Date(due).toISOString();
        const review = await tell(context, id, 'changeItem', { by, item, owner, dueAt });
        const { owner: whose, dueAt: when } = review.actionItems.find((one) => one.id === item) ?? {};
        out(json, review, `${item}: ${whose}, due ${when?.slice(0, 10)}`);
      }),
    );
}

/** Of this id, or the newest of this incident. @throws usage error (4) when there is none. */
async function idOf(context: Context, id: string): Promise<string> {
  if (id.startsWith('review.')) return id;
  const { learned } = await pastReviews(context, recordOf(context.config.env));
  const found = learned.find(({ workflowId, runId }) => workflowId === id || runId === id);
  if (found === undefined) throw usageError(`there is no review of "${id}"; \`reviews\` lists them`, NOT_FOUND);
  return found.review;
}

async function tell(
  context: Context,
  id: string,
  update: Parameters<typeof tellReview>[2],
  word: CauseWord | ItemWord,
): Promise<Review> {
  const on = await idOf(context, id);
  const noted = { who: word.by, what: kebab(update), on, ...('item' in word && { detail: word.item }) };
  return await noting(context.config, noted, () => tellReview(context, on, update, word));
}

const trial = (setting: string | undefined): string[] => {
  if (setting === undefined) return [];
  const { change, command } = trialOf(setting);
  return [`        to try it on past incidents: ${change}, and run: ${command}`];
};

const learnedLines = ({ times, outcome, workflowId, review, causes, openItems, document }: Learned): string =>
  [
    `${times.detectedAt.slice(0, 16)}Z  ${outcome.padEnd(13)}  ${workflowId}  ${document ?? ''}`,
    `  ${review}`,
    ...causes.slice(0, 1).map(({ what, state }) => `  cause (${state}): ${what}`),
    ...openItems.flatMap(({ id, title, owner, dueAt, setting }) => [
      `  open: ${id}: ${title} (${owner}, due ${dueAt.slice(0, 10)})`,
      ...trial(setting),
    ]),
  ].join('\n');

const reviewText = ({ title, service, outcome, note, causes, decisions, actionItems, document, id }: Review): string =>
  [
    `${title} on ${service}: ${outcome}: ${note}`,
    id,
    `Document: ${document === undefined ? 'not written yet' : `${document.path} at ${document.commit.slice(0, 12)}`}`,
    '',
    ...causes.flatMap(({ what, state, evidence }, i) => [
      `${i + 1}. ${state}: ${what}`,
      ...evidence.map((line) => `     ${line}`),
    ]),
    ...decisions.map(({ at, by, cause, before }) => `${at} ${by}: ${cause} (before: ${before.join('; ')})`),
    '',
    ...actionItems.flatMap((item) => [
      `${item.state.padEnd(5)} ${item.id}: ${item.title} (${item.owner}, ${item.state === 'done' ? `by ${item.closedBy}` : `due ${item.dueAt.slice(0, 10)}`})`,
      ...trial(item.state === 'open' ? item.setting : undefined),
    ]),
  ].join('\n');
