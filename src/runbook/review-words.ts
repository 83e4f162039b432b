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
export function answerPeople(of: {
  review: () => Review;
  policy: () => Policy;
  change: (next: Review) => void;
  /** Read the configuration again: it may know by now who is unknown. */
  renew: () => Promise<void>;
  /** Not of a review that has ignored signals of who was unknown. */
  renewsForSignals: boolean;
}): void {
  const { change } = of;
  const isPerson = (name: string): boolean => of.policy().people.some((person) => person.name === name);
  const assertPerson = (name: string): void => {
    if (!isPerson(name)) throw failure('NotAllowed', `"${name.slice(0, 40)}" is nobody in the configuration`);
  };
  /** Of people who are known: at once, as ever, so that older histories replay. */
  const byPeople = (names: string[], act: () => Review): Review | Promise<Review> => {
    if (names.every(isPerson)) return act();
    return of.renew().then(() => {
      for (const name of names) assertPerson(name);
      return act();
    });
  };
  const assertOpen = (word: ItemWord): void => {
    const parsed = ItemWord.safeParse(word);
    if (!parsed.success) throw failure('NotAllowed', 'the input must be {"by":"<name>","item":"<id>"}');
    if (!of.review().actionItems.some(({ id, state }) => id === parsed.data.item && state === 'open'))
      throw failure('NotAllowed', `no action item "${parsed.data.item}" is open`);
  };
  const changed = (next: Review): Review => {
    change(next);
    return of.review();
  };
  const at = (): string => new Date().toISOString();
  setHandler(reviewQuery, () => of.review(), {
    description: 'The review: causes, action items, where its document is',
  });
  setHandler(
    confirmCause,
    (given) => {
      const word = CauseWord.parse(given);
      return byPeople([word.by], () => changed(withCause(of.review(), word, at())));
    },
    {
      description:
        'Say what the cause was, by the number or id of a suspected one, or in words: {"by":"your-name","cause":"1","reason":"…"}',
      validator: (word) => {
        if (!CauseWord.safeParse(word).success)
          throw failure('NotAllowed', 'the input must be {"by":"<name>","cause":"<number, id or words>"}');
      },
    },
  );
  setHandler(
    closeItem,
    (word) =>
      byPeople([word.by], () => {
        assertOpen(word);
        const { by, item, text } = word;
        return changed(withItemDone(of.review(), item, { by, at: at(), note: text }));
      }),
    {
      description: 'An action item is done: {"by":"your-name","item":"<id>","text":"…"}',
      validator: (word) => {
        assertOpen(word);
        if (word.item === CAUSE_ITEM) throw failure('NotAllowed', 'say what the cause was: confirmCause');
      },
    },
  );
  setHandler(
    changeItem,
    (word) =>
      byPeople(word.owner === undefined ? [word.by] : [word.by, word.owner], () => {
        assertOpen(word);
        const { item, owner, dueAt } = word;
        const actionItems = of
          .review()
          .actionItems.map((one) =>
            one.id === item
              ? { ...one, ...(owner !== undefined && { owner }), ...(dueAt !== undefined && { dueAt, reminded: 0 }) }
              : one,
          );
        return changed({ ...of.review(), actionItems });
      }),
    {
      description:
        'Give an action item to another, or more time: {"by":"your-name","item":"<id>","owner":"…","dueAt":"…"}',
      validator: assertOpen,
    },
  );
  setHandler(
    skipReview,
    (word) => {
      const said = SkipWord.safeParse(word);
      if (!said.success || of.review().skipped !== undefined) return;
      const { by, text } = said.data;
      const skip = (): void => {
        if (of.review().skipped !== undefined || !isPerson(by)) return;
        const skipped = { by, at: at(), reason: text };
        change({ ...withItemDone(of.review(), CAUSE_ITEM, { by, at: at(), note: `skipped: ${text}` }), skipped });
      };
      if (isPerson(by) || !of.renewsForSignals) skip();
      else return of.renew().then(skip);
    },
    { description: 'Leave the cause unconfirmed, with a reason: {"by":"your-name","text":"…"}' },
  );
}
