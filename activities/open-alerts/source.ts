/** The body of a webhook that a source sends, and the headers that prove it. */
export interface Webhook {
  body: string;
  headers: Record<string, string>;
}

/** One alert that is open at its source. */
export interface Open {
  /** The same as long as it stays open. */
  name: string;
  /** What its source sends of it; absent while it is to be silent about it. */
  webhook?: Webhook;
}

export interface Listed {
  open: Open[];
  /** Whether that is all of it. */
  whole: boolean;
}

export interface OpenAt {
  /** Name of the gateway's endpoint. */
  source: string;
  open(): Promise<Listed>;
  /** What it sends of one that it does not list any more; nothing where that one is not over all the same. */
  over(name: string): Promise<Webhook | undefined>;
}
