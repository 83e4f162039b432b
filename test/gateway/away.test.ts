/** The gateway while Temporal is away, or takes nothing of what it is sent: it pages the first level itself, once. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { freePort } from '../../src/embedded/ports.ts';
import { startTemporal } from '../../src/embedded/temporal.ts';
import { readPages } from '../../src/pages.ts';
import { endProcess } from '../../src/processes.ts';
import { startMail } from '../channels/mail-rig.ts';
import { group, postAlertmanager, runGateway, scratch } from './rig.ts';
import { until } from '../support/until.ts';

const soon = { pageAfterMs: 200 };

/** Wait until the gateway has seen Temporal away for longer than it takes to page, from now on. */
async function lookedLongEnough(stateDir: string): Promise<void> {
  const db = new DatabaseSync(join(stateDir, 'inbox.sqlite'), { readOnly: true });
  const from = Date.now();
  await until(
    () => Number(db.prepare('select max(seen) as seen from outage').get()?.['seen']) > from + 3 * soon.pageAfterMs,
  );
  db.close();
}

/** Wait until the gateway has seen that it is over. */
async function lookedOver(stateDir: string): Promise<void> {
  const db = new DatabaseSync(join(stateDir, 'inbox.sqlite'), { readOnly: true });
  await until(() => db.prepare('select 1 from outage').get() === undefined);
  db.close();
}

it('pages the first level once when alerts wait for longer than a minute, over a restart too', async () => {
  await using folder = scratch();
  const { stateDir } = folder;
  const pages = () => readPages(stateDir);
  {
    await using gateway = await runGateway({ stateDir, ...soon });
    await postAlertmanager(gateway.url, group());
    await until(() => pages().length > 0);
    await until(() => gateway.logged.some((line) => line.includes('paged responder')));
  }
  const [page, ...others] = pages();
  expect(others).toEqual([]);
  expect(page).toMatchObject({
    person: 'responder',
    level: 'team',
    severity: 'critical',
    subject: 'Temporal is away: 1 alert waits and no runbook runs',
    text: expect.stringContaining('They wait for: incident.shop.high-error-rate'),
  });
  await using again = await runGateway({ stateDir, ...soon });
  await postAlertmanager(again.url, group({ service: 'mail' }));
  await lookedLongEnough(stateDir);
  expect(pages()).toHaveLength(1);
});

describe('where a channel of a person fails', () => {
  const slack = {
    HOLDFAST_SLACK_TOKEN: 'xoxb-token',
    HOLDFAST_SLACK_CHANNEL: 'C0123456789',
    SLACK_API_URL: 'http://127.0.0.1:1/',
  };
  const responder = (...channels: { via: string; to: string }[]) => [
    { name: 'responder', roles: ['approver' as const], channels: [{ via: 'slack', to: 'U0123456789' }, ...channels] },
  ];

  it('pages over the next', async () => {
    await using folder = scratch();
    await using mail = await startMail();
    const env = { ...slack, HOLDFAST_SMTP_URL: mail.url, HOLDFAST_MAIL_FROM: 'holdfast@shop.example' };
    const people = responder({ via: 'email', to: 'ada@shop.example' });
    await using gateway = await runGateway({ stateDir: folder.stateDir, env, people, ...soon });
    await postAlertmanager(gateway.url, group());
    await until(() => gateway.logged.some((line) => line.includes('paged responder')));
    expect(gateway.logged).toContainEqual(expect.stringContaining('responder was not paged over slack'));
    expect((await mail.received()).map(({ to }) => to[0]?.address)).toEqual(['ada@shop.example']);
    expect(readPages(folder.stateDir)).toHaveLength(1);
  });

  it('does not take the copy in the console for a person reached: where no channel takes the page it is tried again', async () => {
    await using folder = scratch();
    await using gateway = await runGateway({ stateDir: folder.stateDir, env: slack, people: responder(), ...soon });
    await postAlertmanager(gateway.url, group());
    await until(() => gateway.logged.filter((line) => line.includes('nobody could be paged')).length > 1);
    expect(readPages(folder.stateDir)).toHaveLength(1);
  });
});

it('pages nobody while nothing waits, nor while Temporal answers, and again when it has been back between', async () => {
  await using folder = scratch();
  const { stateDir } = folder;
  const [port, uiPort] = [await freePort(), await freePort()];
  const temporal = { stateDir, port, uiPort };
  await using gateway = await runGateway({ stateDir, env: { TEMPORAL_ADDRESS: `127.0.0.1:${port}` }, ...soon });
  await lookedLongEnough(stateDir);
  expect(readPages(stateDir)).toEqual([]);

  await postAlertmanager(gateway.url, group());
  await until(() => readPages(stateDir).length === 1);
  const readyz = async (): Promise<string> => (await gateway.get('/readyz')).text;
  await startTemporal(temporal);
  await until(async () => (await readyz()).includes('"waiting":0'));
  await postAlertmanager(gateway.url, group({ instance: '2' }));
  await until(async () => (await readyz()).includes('"waiting":0'));
  await lookedOver(stateDir);
  await endProcess(stateDir, 'temporal');
  await until(async () => (await readyz()).includes('away'));
  await postAlertmanager(gateway.url, group({ instance: '3' }));
  await until(() => readPages(stateDir).length === 2);
});

it('pages once about a Temporal that answers and takes nothing, and says what it answers', async () => {
  await using folder = scratch();
  await using server = scratch();
  const { stateDir } = folder;
  const ports = { port: await freePort(), uiPort: await freePort() };
  const { address } = await startTemporal({ stateDir: server.stateDir, ...ports });
  try {
    await using gateway = await runGateway({
      stateDir,
      env: { TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: 'gone' },
      ...soon,
    });
    await postAlertmanager(gateway.url, group());
    await until(() => readPages(stateDir).length > 0);
    expect((await gateway.get('/readyz')).text).toContain('"temporal":"reachable"');
    await postAlertmanager(gateway.url, group({ service: 'mail' }));
    await lookedLongEnough(stateDir);
    expect(readPages(stateDir)).toEqual([
      expect.objectContaining({
        level: 'team',
        subject: 'Temporal refuses what it is sent: 1 alert waits and no runbook begins',
        text: expect.stringMatching(/Temporal answers, and refuses .*gone[^]*incident\.shop\.high-error-rate/),
      }),
    ]);
  } finally {
    await endProcess(server.stateDir, 'temporal');
  }
});
