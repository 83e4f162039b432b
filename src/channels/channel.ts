import type { z } from 'zod';
import type { Announcement, Page, Settings } from '../contracts/index.ts';

/** A page on its way: `to` is the person's address on this channel, `code` the one-time code of a page that asks. */
export type Delivery = Page & { to: string; code?: string };

/** What a channel does. Failures are of the closed list; whatever is sent twice with one key arrives once, as far as the other side can tell. */
export interface Channel {
  page?: (delivery: Delivery) => Promise<void>;
  /** Shows how things stand to everybody on it. */
  announce?: (announcement: Announcement) => Promise<void>;
}

/** One way to reach people: one file in this folder. */
export interface ChannelDefinition {
  name: string;
  env: z.ZodType;
  /** Only the person sees what comes over it, so that it may carry the person's one-time code. */
  personal: boolean;
  create(env: never, settings: Settings): Channel;
}

export const defineChannel = <E extends z.ZodType>(
  of: Omit<ChannelDefinition, 'env' | 'create'> & { env: E; create(env: z.output<E>, settings: Settings): Channel },
): ChannelDefinition => of as unknown as ChannelDefinition;
