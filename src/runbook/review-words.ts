import { defineQuery, defineSignal, defineUpdate, setHandler } from '@temporalio/workflow';
import { CauseWord, ItemWord, SkipWord, type Policy, type Review } from '../contracts/index.ts';
import { failure } from '../errors.ts';
import { withCause, withItemDone } from './review.ts';
import { CAUSE_ITEM } from './review-items.ts';

export const reviewQuery = defineQuery<Review>('review');
/** A person's word on the cause: one that is suspected, or another. */
export const confirmCause = defineUpdate<Review, [CauseWord]>('confirmCause');
export const closeItem = defineUpdate<Review, [ItemWord]>('closeItem');
export const changeItem = defineUpdate<Review, [ItemWord]>('changeItem');
export const skipReview = defineSignal<[SkipWord]>('skipReview');

/** Answer what people say of a review while it is open. */
export function answerPeople(of: { review: () => Review; policy: () => Policy; change: (next: Review) => void }): void {
  const { change } = of;
  const isPerson = (name: string): boolean => of.policy().people.some((person) => person.name === name);
  const assertPerson = (name: string): void => {
    if (!isPerson(name)) throw failure('NotAllowed', `"${name.slice(0, 40)}" is nobody in the configuration`);
  };
  const item = (word: ItemWord): ItemWord => {
    const parsed = ItemWord.safeParse(word);
    if (!parsed.success) throw failure('NotAllowed', 'the input must be {"by":"<name>","item":"<id>"}');
    assertPerson(parsed.data.by);
    if (parsed.data.owner !== undefined) assertPerson(parsed.data.owner);
    if (!of.review().actionItems.some(({ id, state }) => id === parsed.data.item && state === 'open'))
      throw failure('NotAllowed', `no action item "${parsed.data.item}" is open`);
    return parsed.data;
  };
  const at = (): string => new Date().toISOString();
  setHandler(reviewQuery, () => of.review(), {
    description: 'The review: causes, action items, where its document is',
  });
  setHandler(
    confirmCause,
    (word) => {
      change(withCause(of.review(), CauseWord.parse(word), at()));
      return of.review();
    },
    {
      description:
        'Say what the cause was, by the number or id of a suspected one, or in words: {"by":"your-name","cause":"1","reason":"…"}',
      validator: (word) => {
        const parsed = CauseWord.safeParse(word);
        if (!parsed.success)
          throw failure('NotAllowed', 'the input must be {"by":"<name>","cause":"<number, id or words>"}');
        assertPerson(parsed.data.by);
      },
    },
  );
  setHandler(
    closeItem,
    ({ by, item: id, text }) => {
      change(withItemDone(of.review(), id, { by, at: at(), note: text }));
      return of.review();
    },
    {
      description: 'An action item is done: {"by":"your-name","item":"<id>","text":"…"}',
      validator: (word) => {
        if (item(word).item === CAUSE_ITEM) throw failure('NotAllowed', 'say what the cause was: confirmCause');
      },
    },
  );
  setHandler(
    changeItem,
    ({ item: id, owner, dueAt }) => {
      const actionItems = of
        .review()
        .actionItems.map((one) =>
          one.id === id
            ? { ...one, ...(owner !== undefined && { owner }), ...(dueAt !== undefined && { dueAt, reminded: 0 }) }
            : one,
        );
      change({ ...of.review(), actionItems });
      return of.review();
    },
    {
      description:
        'Give an action item to another, or more time: {"by":"your-name","item":"<id>","owner":"…","dueAt":"…"}',
      validator: (word) => void item(word),
    },
  );
  setHandler(
    skipReview,
    (word) => {
      const said = SkipWord.safeParse(word);
      if (!said.success || of.review().skipped !== undefined || !isPerson(said.data.by)) return;
      const { by, text } = said.data;
      const skipped = { by, at: at(), reason: text };
      change({ ...withItemDone(of.review(), CAUSE_ITEM, { by, at: at(), note: `skipped: ${text}` }), skipped });
    },
    { description: 'Leave the cause unconfirmed, with a reason: {"by":"your-name","text":"…"}' },
  );
}
