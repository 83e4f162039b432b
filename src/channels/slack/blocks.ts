/**
 * What a message of Holdfast's is made of. Text from outside stands in `text` elements of rich text, which Slack shows letter by
 * letter: no mention, no link, no markup.
 * Source  docs.slack.dev, "Rich text block", "Button element".
 */
import { z } from 'zod';
import { Slug } from '../../contracts/index.ts';
import { oneLine, plainText } from '../../plain-text.ts';
import type { Block, Content } from './api.ts';

const ANSWER = 'answer';
/** Block and element of the field in which a person says why. */
export const REASON = 'reason';
const FALLBACK_LENGTH = 1000;

/** What a button carries: the run, the proposal that it was shown with, and which way where there are several. */
export const Click = z.object({
  workflowId: z.string().min(1).max(500),
  runId: z.string().min(1).max(100),
  digest: z.string().length(64).optional(),
  option: Slug.optional(),
});
export type Click = z.output<typeof Click>;
export const ClickKind = z.enum(['acknowledge', 'approve', 'reject']);
export type ClickKind = z.output<typeof ClickKind>;

const LABELS: Record<ClickKind, { text: string; style?: 'primary' | 'danger' }> = {
  acknowledge: { text: 'Acknowledge' },
  approve: { text: 'Approve', style: 'primary' },
  reject: { text: 'Reject', style: 'danger' },
};
const Button = z.object({ action_id: z.string(), value: z.string().optional() });
const Buttons = z.object({ type: z.literal('actions'), elements: z.array(z.unknown()) });

/** Which button was pressed, of its `action_id`. */
export const kindOf = (actionId: string): ClickKind | undefined => ClickKind.safeParse(actionId.split('.')[0]).data;

function button(kind: ClickKind, click: Click): object {
  const { text, style } = LABELS[kind];
  const { option } = click;
  return {
    type: 'button',
    action_id: option === undefined ? kind : `${kind}.${option}`,
    text: { type: 'plain_text', text: option === undefined ? text : `${text}: ${option}`, emoji: false },
    value: JSON.stringify(click),
    ...(style !== undefined && { style }),
  };
}

/** Buttons to decide by: one to approve for each way that there is. */
function deciding({ options, ...click }: Click & { options?: string[] }): object[] {
  const ways = options?.map((option) => ({ option })) ?? [{}];
  return [...ways.map((way) => button('approve', { ...click, ...way })), button('reject', click)];
}

const actions = (elements: object[]): Block => ({ type: 'actions', elements });

/** Buttons of a run; those that decide where it asks. */
export const buttons = ({ digest, ...run }: Omit<Click, 'option'>): Block =>
  actions([...(digest === undefined ? [] : deciding({ ...run, digest })), button('acknowledge', run)]);

/** A paragraph, shown letter by letter. */
export const paragraph = (text: string, { bold = false } = {}): Block => ({
  type: 'rich_text',
  elements: [
    {
      type: 'rich_text_section',
      elements: [{ type: 'text', text: plainText(text) || ' ', ...(bold && { style: { bold } }) }],
    },
  ],
});

/** A way to another place, as a paragraph. */
export const linkBlock = (url: string, text: string): Block => ({
  type: 'rich_text',
  elements: [{ type: 'rich_text_section', elements: [{ type: 'link', url, text }] }],
});

/** The fall-back text of a message: Slack reads it as markup, in which three characters are escaped. */
export const fallback = (text: string): string =>
  oneLine(text, FALLBACK_LENGTH).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** What of the buttons stays when they have been answered. */
export interface Answered {
  line: string;
  /** The proposal that is over: nobody can decide it any more. */
  over?: string | undefined;
  /** The run has ended: there is nothing left to press. */
  ended?: boolean;
  /** The buttons to decide by become one for each of these ways, with a field for the reason. */
  choices?: Click & { options: string[] };
}

/** A message after a click: its buttons as far as they still mean something, and the answer as its last line. */
export function answeredContent(blocks: Block[], { line, over, ended = false, choices }: Answered): Content {
  const stays = (element: unknown): boolean => {
    const { data: of } = Button.safeParse(element);
    const digest = of?.value === undefined ? undefined : Click.safeParse(JSON.parse(of.value)).data?.digest;
    return !ended && (digest === undefined || (digest !== over && digest !== choices?.digest));
  };
  const kept = blocks
    .filter(
      ({ block_id: id }) => id !== ANSWER && (id !== REASON || (!ended && over === undefined && choices === undefined)),
    )
    .flatMap((block): Block[] => {
      const { data: of } = Buttons.safeParse(block);
      if (of === undefined) return [block];
      const elements = of.elements.filter(stays);
      return elements.length === 0 ? [] : [{ ...block, elements }];
    });
  const asked = choices === undefined ? [] : [reason, actions(deciding(choices))];
  return { text: fallback(line), blocks: [...kept, ...asked, { ...paragraph(line), block_id: ANSWER }] };
}

const reason: Block = {
  type: 'input',
  block_id: REASON,
  optional: true,
  label: { type: 'plain_text', text: 'Why (a step is left out for a reason only)' },
  element: { type: 'plain_text_input', action_id: REASON, max_length: 500 },
};
