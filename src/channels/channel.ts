import { createHash } from 'node:crypto';
import type { z } from 'zod';
import type { Announcement, Page, Settings } from '../contracts/index.ts';

/** Where the console shows the run, for those who have to sign in there to do anything; nothing where nobody says where it is. */
interface Linked {
  link?: string;
}
export type Announced = Announcement & Linked;

/** A page on its way: `to` is the person's address on this channel, `code` the one-time code of a page that asks. */
export type Delivery = Page &
  Linked & {
    to: string;
    code?: string;
    /** So many pages in one, which names no single run to answer. */
    grouped?: number;
  };

/** What was found out of a channel without sending anything; `beware` is what somebody should look at all the same. */
export interface Looked {
  says: string;
  beware?: { says: string; remedy: string };
}

/** What a channel does. Failures are of the closed list; whatever is sent twice with one key arrives once, as far as the other side can tell. */
export interface Channel {
  page?: (delivery: Delivery) => Promise<void>;
  /** Shows how things stand to everybody on it. */
  announce?: (announcement: Announced) => Promise<void>;
  /** Whether it is reached and takes its credentials, and what to do where not. */
  check?: { remedy: string; look: () => Promise<Looked> };
}

/** One way to reach people: one file in this folder. */
export interface ChannelDefinition {
  name: string;
  env: z.ZodType;
  /** Only the person sees what comes over it, so that it may carry the person's one-time code. */
  personal: boolean;
  /** Its other side groups what is too much by itself, and is to get each page. */
  singly?: boolean | undefined;
  create(env: never, settings: Settings): Channel;
}

export const defineChannel = <E extends z.ZodType>(
  of: Omit<ChannelDefinition, 'env' | 'create'> & { env: E; create(env: z.output<E>, settings: Settings): Channel },
): ChannelDefinition => of as unknown as ChannelDefinition;

/** One id of these parts, in letters that every protocol takes. */
export const idOf = (...parts: string[]): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32);
