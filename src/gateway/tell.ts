import type { Settings } from '../contracts/index.ts';
import type { CatalogueEntry } from '../runbook/catalogue.ts';
import type { Inbox } from './inbox.ts';
import { route } from './routing.ts';
import { alertOf } from './source.ts';

/**
 * The sender will not send it again, so a person is told, by an alert in the name of the source; resolves when that is stored.
 * Once a day for each source and name: nobody may page by it at will.
 */
export type TellAPerson = (source: string, name: string, summary: string) => Promise<void>;

export const createTeller =
  (of: { inbox: Inbox; settings: Settings; runbooks: CatalogueEntry[] }): TellAPerson =>
  async (source, name, summary) => {
    const key = `${name}|${new Date().toISOString().slice(0, 10)}`;
    const alert = alertOf({ source, key, name, summary, labels: { alertname: name }, doubt: 'truncated' });
    const target = route(alert, of.settings, of.runbooks);
    await of.inbox.store({ source, raw: Buffer.alloc(0), alerts: [{ alert, target }] });
  };
