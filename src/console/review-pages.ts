import { html } from 'hono/html';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { z } from 'zod';
import type { ItemWord, Review } from '../contracts/index.ts';
import { failure } from '../errors.ts';
import { figuresOf } from '../figures.ts';
import { audited } from '../operations/audited.ts';
import { freshnessOf } from '../operations/drills.ts';
import { pastReviews, REVIEWED, REVIEWED_RUN, reviewOf, tellReview } from '../operations/reviews.ts';
import type { Entry } from './entry.ts';
import { figuresPage } from './pages/figures.ts';
import { page, type Html, type Viewer } from './pages/layout.ts';
import { reviewPage } from './pages/review.ts';
import { reviewPath, reviewsPage } from './pages/reviews.ts';
import { refusalOf, type Parts } from './parts.ts';
import type { Asked, Door } from './routes.ts';

const DAYS = 365;
const DAY_MS = 86_400_000;
const text = (most: number) => z.string().trim().max(most).catch('');
const Said = z.object({ cause: text(300), words: text(300), reason: text(500) });
const Changed = z.object({ owner: text(40), due: text(10), text: text(500) });
type Form = z.output<typeof Changed>;

/** The pages about what came after, and the forms on them. */
export function reviewRoutes(door: Door, entry: Entry, parts: Parts): void {
  const { access, record } = parts;
  const viewer = (c: Asked): Viewer => ({ principal: c.var.principal, csrf: entry.csrfOf(c) });
  const show = (c: Asked, shown: Html, status: ContentfulStatusCode = 200) => {
    c.header('cache-control', 'no-store');
    return c.html(shown, status);
  };
  /** What cannot be shown or done, on a page that says why. */
  const guarded =
    (answer: (c: Asked) => Promise<Response>) =>
    async (c: Asked): Promise<Response> => {
      try {
        return await answer(c);
      } catch (error) {
        const refusal = refusalOf(error);
        if (refusal === undefined) throw error;
        const body = html`<h1>Not shown</h1>
          <p><a href="/reviews">Reviews</a></p>`;
        const shown = page(viewer(c), { title: 'Not shown', here: '/reviews', body, told: refusal.told });
        return await show(c, shown, refusal.status);
      }
    };
  const refOf = (c: Asked) => {
    const { id = '', run = '' } = c.req.param() as { id?: string; run?: string };
    if (!REVIEWED.test(id) || !REVIEWED_RUN.test(run)) throw failure('NotFound', 'there is no such review');
    return { workflowId: id, runId: run, review: `review.${id}.${run}` };
  };

  door.route(
    'GET',
    '/reviews',
    'read',
    guarded(async (c) => {
      const query = text(100).parse(c.req.query('q') ?? '');
      return show(c, reviewsPage(viewer(c), { ...(await pastReviews(access, record)), query }));
    }),
  );
  door.route(
    'GET',
    '/figures',
    'read',
    guarded(async (c) => {
      const [{ learned, unknown = [] }, fresh] = await Promise.all([
        pastReviews(access, record),
        Promise.all(access.settings.services.map(({ name }) => freshnessOf(access, name).catch(() => undefined))),
      ]);
      const figures = figuresOf(learned, new Date(Date.now() - DAYS * DAY_MS).toISOString());
      const known = fresh.filter((one) => one !== undefined);
      return show(c, figuresPage(viewer(c), { figures, fresh: known, unknown: [unknown].flat() }));
    }),
  );
  door.route(
    'GET',
    '/reviews/:id/:run',
    'read',
    guarded(async (c) => show(c, reviewPage(viewer(c), await reviewOf(access, refOf(c).review, record)))),
  );

  /** Do what a form on the page of a review asks for, and show the review as it is then. */
  const onReview = (
    what: string,
    act: (c: Asked, of: { review: string; by: string }) => Promise<[detail: string, done: () => Promise<Review>]>,
  ) =>
    guarded(async (c) => {
      const { principal } = c.var;
      const ref = refOf(c);
      const [detail, done] = await act(c, { review: ref.review, by: principal.name });
      try {
        await audited(parts, { who: principal.name, via: 'console', what, on: ref.review, detail }, done);
      } catch (error) {
        const refusal = refusalOf(error);
        const now = refusal && (await reviewOf(access, ref.review, record).catch(() => undefined));
        if (refusal === undefined || now === undefined) throw error;
        return show(c, reviewPage(viewer(c), now, `Not done: ${refusal.told}`), refusal.status);
      }
      return c.redirect(reviewPath(ref), 303);
    });
  door.route(
    'POST',
    '/reviews/:id/:run/cause',
    'respond',
    onReview('confirm cause', async (c, { review, by }) => {
      const { cause, words, reason } = Said.parse(await c.req.parseBody());
      const said = cause === '' ? words : cause;
      return [
        said,
        async () => {
          if (said === '') throw failure('Refused', 'choose a cause, or say it in words');
          return tellReview(access, review, 'confirmCause', { by, cause: said, ...(reason !== '' && { reason }) });
        },
      ];
    }),
  );
  /** A word on one action item. */
  const onItem = (what: string, update: 'closeItem' | 'changeItem', wordOf: (of: Form) => Partial<ItemWord>) =>
    onReview(what, async (c, { review, by }) => {
      const item = c.req.param('item') ?? '';
      const form = Changed.parse(await c.req.parseBody());
      const detail = [item, ...Object.values(form)].join(' ');
      return [detail, async () => tellReview(access, review, update, { by, item, ...wordOf(form) })];
    });
  door.route(
    'POST',
    '/reviews/:id/:run/items/:item/close',
    'respond',
    onItem('close action item', 'closeItem', ({ text: note }) => (note === '' ? {} : { text: note })),
  );
  door.route(
    'POST',
    '/reviews/:id/:run/items/:item/change',
    'respond',
    onItem('change action item', 'changeItem', ({ owner, due }) => {
      if (Number.isNaN(Date.parse(due))) throw failure('Refused', 'say until when, as a date');
      return { owner, dueAt: new Date(due).toISOString() };
    }),
  );
}
