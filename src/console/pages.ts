import { streamSSE } from 'hono/streaming';
import { html } from 'hono/html';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { z } from 'zod';
import { Answer, DeploymentOrder, isRunId, runPath, type Status } from '../contracts/index.ts';
import { failure } from '../errors.ts';
import { audited } from '../operations/audited.ts';
import { startRun } from '../operations/deployments.ts';
import { decide, entryOf, MESSAGES, say, type Message } from '../operations/people.ts';
import { listRuns } from '../operations/runs.ts';
import { statusOf, uiLink } from '../operations/temporal.ts';
import type { Entry } from './entry.ts';
import { auditPage } from './pages/audit.ts';
import { deploymentsPage } from './pages/deployments.ts';
import { ASSETS, page, type Html, type Viewer } from './pages/layout.ts';
import { nowPage } from './pages/now.ts';
import { objectivesPage } from './pages/objectives.ts';
import { onCallPage } from './pages/on-call.ts';
import { pastPage, recordedPage } from './pages/past.ts';
import { runPage, versionOf } from './pages/run.ts';
import { refusalOf, type Parts } from './parts.ts';
import { principalOf } from './rights.ts';
import type { Asked, Door } from './routes.ts';

const KEEP_ALIVE_MS = 15_000;
const ENDED = 20;
const text = (most: number) => z.string().trim().max(most).catch('');
const Decided = z.object({
  digest: text(64),
  verdict: Answer,
  option: text(40),
  reason: text(500),
  breakGlass: z.literal('true').optional(),
});

/** The pages, and the forms on them. */
export function pageRoutes(door: Door, entry: Entry, parts: Parts): void {
  const { access, board, live } = parts;
  const { settings } = access;
  const viewer = (c: Asked): Viewer => ({ principal: c.var.principal, csrf: entry.csrfOf(c) });
  const show = (c: Asked, shown: Html, status: ContentfulStatusCode = 200) => {
    c.header('cache-control', 'no-store');
    return c.html(shown, status);
  };
  const refOf = (c: Asked) => {
    const workflowId = c.req.param('id') ?? '';
    if (!isRunId(workflowId)) throw failure('NotFound', 'there is no such incident or deployment');
    return { workflowId, runId: c.req.param('run') };
  };
  const shownRun = async (c: Asked, status: Status, told?: string): Promise<Html> =>
    runPage(viewer(c), { status, settings, uiUrl: uiLink(access, status), told });
  /** Of a run that Temporal keeps no longer, what the record has. */
  const recorded = async (c: Asked, error: unknown) => {
    const { id = '', run } = c.req.param() as { id?: string; run?: string };
    if (refusalOf(error)?.status !== 404 || run === undefined) return undefined;
    return await parts.record?.incident(id, run).catch(() => undefined);
  };
  const failed = (c: Asked, error: unknown): Response | Promise<Response> => {
    const refusal = refusalOf(error);
    if (refusal === undefined) throw error;
    const body = html`<h1>Not done</h1>
      <p><a href="${c.req.path.replace(/\/[^/]*$/, '') || '/'}">Back</a></p>`;
    return show(c, page(viewer(c), { title: 'Not done', here: '', body, told: refusal.told }), refusal.status);
  };
  const deployments = async (c: Asked, told?: string): Promise<Html> => {
    const [now, past] = await Promise.all([
      board(),
      listRuns(access, { kind: 'deployments', state: 'closed', limit: ENDED }).catch(() => ({ runs: [] })),
    ]);
    return deploymentsPage(viewer(c), { board: now, settings, past: past.runs, told });
  };

  for (const { path, type, text: content } of ASSETS)
    door.route('GET', path, 'anyone', (c) => {
      c.header('cache-control', 'public, max-age=31536000, immutable');
      return c.body(content, 200, { 'content-type': type });
    });

  door.route('GET', '/', 'read', async (c) => show(c, nowPage(viewer(c), await board(), settings)));
  door.route('GET', '/deployments', 'read', async (c) => show(c, await deployments(c)));
  door.route('GET', '/objectives', 'read', async (c) => show(c, await objectivesPage(viewer(c), access, parts.record)));
  door.route('GET', '/past', 'read', async (c) =>
    show(c, await pastPage(viewer(c), parts.record, text(100).parse(c.req.query('q') ?? ''))),
  );
  door.route('GET', '/on-call', 'read', (c) => show(c, onCallPage(viewer(c), settings, Date.now())));
  door.route('GET', '/audit', 'administer', (c) => show(c, auditPage(viewer(c), access.config.HOLDFAST_STATE_DIR)));
  for (const path of ['/runs/:id', '/runs/:id/:run'])
    door.route('GET', path, 'read', async (c) => {
      try {
        return await show(c, await shownRun(c, await statusOf(access, refOf(c))));
      } catch (error) {
        const kept = await recorded(c, error);
        return kept === undefined ? failed(c, error) : await show(c, recordedPage(viewer(c), kept));
      }
    });

  /** Do what a form on the page of a run asks for, and show the run as it is then. */
  const onRun = async (
    c: Asked,
    what: string,
    detail: string,
    act: (ref: { workflowId: string; runId: string | undefined; person: string }) => Promise<unknown>,
  ): Promise<Response> => {
    try {
      const ref = refOf(c);
      const { principal } = c.var;
      try {
        await audited(
          parts,
          { who: principal.name, via: 'console', what, on: `${ref.workflowId}/${ref.runId}`, detail },
          () => act({ ...ref, person: principal.name }),
        );
      } catch (error) {
        const refusal = refusalOf(error);
        const status = refusal && (await statusOf(access, ref).catch(() => undefined));
        if (refusal === undefined || status === undefined) throw error;
        return await show(c, await shownRun(c, status, `Not done: ${refusal.told}`), refusal.status);
      }
      return c.redirect(runPath({ workflowId: ref.workflowId, runId: ref.runId ?? '' }), 303);
    } catch (error) {
      return failed(c, error);
    }
  };
  door.route('POST', '/runs/:id/:run/decide', 'decide', async (c) => {
    const decided = Decided.safeParse(await c.req.parseBody());
    if (!decided.success) return failed(c, failure('Refused', 'say whether you approve or reject it'));
    const { digest, verdict, option, reason } = decided.data;
    const breakGlass = decided.data.breakGlass === undefined ? undefined : true;
    const { what, detail } = entryOf({ digest, verdict, reason, breakGlass });
    return onRun(c, what, detail, (ref) =>
      decide(access, {
        ...ref,
        digest,
        verdict,
        via: 'console',
        ...(option !== '' && { option }),
        ...(reason !== '' && { reason }),
        breakGlass,
      }),
    );
  });
  for (const message of Object.keys(MESSAGES) as Message[])
    door.route('POST', `/runs/:id/:run/${message}`, 'respond', async (c) => {
      const said = text(1000).parse((await c.req.parseBody())['text']);
      if (message === 'note' && said === '') return failed(c, failure('Refused', 'there is nothing in the note'));
      return onRun(c, message, said, (ref) => say(access, { ...ref, message, text: said }));
    });

  for (const [path, kind] of [
    ['start', 'deployment'],
    ['roll-back', 'rollback'],
  ] as const)
    door.route('POST', `/deployments/:service/:environment/${path}`, 'deploy', async (c) => {
      const { principal } = c.var;
      const form = await c.req.parseBody();
      const given = Object.entries({ ref: form['ref'], override: form['override'] }).filter(([, one]) => one);
      const { service, environment } = c.req.param() as { service: string; environment: string };
      const order = DeploymentOrder.safeParse({
        service,
        environment,
        ...Object.fromEntries(given),
        orderedBy: `console:${principal.name}`,
      });
      const on = `${kind}.${service}.${environment}`;
      try {
        if (!order.success) throw failure('Refused', order.error.issues.map(({ message }) => message).join('; '));
        const entered = {
          who: principal.name,
          via: 'console',
          what: `start ${kind}`,
          on,
          detail: order.data.ref ?? '',
        };
        return c.redirect(runPath(await audited(parts, entered, () => startRun(access, kind, order.data))), 303);
      } catch (error) {
        const refusal = refusalOf(error);
        if (refusal === undefined) throw error;
        return show(c, await deployments(c, `Not done: ${refusal.told}`), refusal.status);
      }
    });

  /** Tell a browser when what it shows has changed, as long as its session lasts. */
  const stream = (c: Asked, topic: string, read: () => Promise<string>): Response => {
    const session = entry.sessionOf(c);
    c.header('x-accel-buffering', 'no');
    return streamSSE(c, async (events) => {
      const write = (event: string, data: string) => void events.writeSSE({ event, data }).catch(() => undefined);
      const deaf = live.listen(topic, read, (version) => write('version', version));
      await new Promise<void>((resolve) => {
        const beat = setInterval(() => {
          if (principalOf(session, parts.store, settings) === undefined) end();
          else write('beat', '');
        }, KEEP_ALIVE_MS);
        const end = (): void => {
          clearInterval(beat);
          resolve();
        };
        events.onAbort(end);
        live.stopped.addEventListener('abort', end, { once: true });
        if (live.stopped.aborted || events.aborted) end();
      });
      deaf();
    });
  };
  door.route('GET', '/live', 'read', (c) => stream(c, 'now', async () => (await board()).version));
  door.route('GET', '/live/runs/:id/:run', 'read', (c) => {
    const ref = refOf(c);
    return stream(c, `${ref.workflowId}/${ref.runId}`, async () => versionOf(await statusOf(access, ref)));
  });
}
