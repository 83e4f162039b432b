/** What a secret looks like, and the only place that takes one out of what is kept, shown or sent. */

type Env = Readonly<Record<string, string | undefined>>;
/** A text without its secrets. Done twice it changes nothing more. */
export type Redact = (text: string) => string;

const REMOVED = '[removed]';
const SECRET_NAME = /SECRET|TOKEN|PASSWORD|PRIVATE|DSN$|_KEYS?(_DATA)?$|_AUTH$|^TEMPORAL_GRPC_META_\w*(AUTH|COOKIE)/;
const HEADERS_NAME = /_OTLP(_\w+)?_HEADERS$/;
const SECRET_HEADER = /auth|cookie|key|secret|token/i;
const NO_SECRET_NAME = /PUBLIC_KEYS?$|PUBLISHABLE|_(FILE|PATH|DIR|URL|ID)$/;
const SHORTEST = 8;
const WORD =
  '(change|me|secret|password|postgres|supabase|demo|test|example|admin|token|key|holdfast|local|dev|your|my|super|jwt|with|at|least|32|characters|long|123\\d*)';
/** Words only, in any order: what a person types to get going. */
const GUESSABLE = new RegExp(`^${WORD}([-_ .]?${WORD})*$`, 'i');
export const canBeGuessed = (secret: string): boolean => GUESSABLE.test(secret);

function urlOf(value: string): URL | undefined {
  return URL.canParse(value) ? new URL(value) : undefined;
}

/** The password that a URL has, if it is one and has one. */
export const passwordIn = (value: string): string | undefined => {
  const { password } = urlOf(value) ?? { password: '' };
  try {
    return decodeURIComponent(password) || undefined;
  } catch {
    return password;
  }
};

/** Whether what a header of this name says is a secret: a tenant or a namespace is none. */
export const isSecretHeader = (name: string): boolean => SECRET_HEADER.test(name);

/** The secrets of an environment: whole, and what they consist of. */
export function secretsOf(env: Env): string[] {
  return Object.entries(env).flatMap(([name, value = '']) => {
    const password = passwordIn(value) ?? [];
    if (HEADERS_NAME.test(name))
      return value.split(',').flatMap((header) => {
        const [title = '', ...said] = header.split('=');
        return isSecretHeader(title) ? [said.join('=').trim(), ...said.join('=').trim().split(/\s+/)] : [];
      });
    if (!SECRET_NAME.test(name) || NO_SECRET_NAME.test(name)) return password;
    const lines = value.split(/[\s,]+/); // keys, one a line or behind a comma
    const inner = lines.map((line) => line.replace(/^(whsec_|[\w.-]+?=(?=[^=]))/, ''));
    return [value, ...lines, ...inner, urlOf(value)?.username ?? []].concat(password).flat();
  });
}

/** Every whole group of six bits that a text has in Base64, wherever in what is encoded it stands. */
const base64Of = (text: string): string[] =>
  [0, 1, 2].map((before) => {
    const bytes = Buffer.concat([Buffer.alloc(before), Buffer.from(text)]);
    return bytes.toString('base64').slice(Math.ceil((before * 8) / 6), Math.floor((bytes.length * 8) / 6));
  });

function formsOf(secret: string): string[] {
  const inUrl = encodeURIComponent(secret.toWellFormed());
  const encoded = base64Of(secret);
  return [
    secret,
    JSON.stringify(secret).slice(1, -1),
    inUrl,
    inUrl.replaceAll(/%../g, (escape) => escape.toLowerCase()),
    inUrl.replaceAll('%20', '+'),
    ...encoded,
    ...encoded.map((one) => one.replaceAll('+', '-').replaceAll('/', '_')),
    ...encoded.map(encodeURIComponent),
  ];
}

interface Form {
  form: string;
  /** What of it is a secret still, where it was cut short. */
  head: string;
}

function withoutCutShort(text: string, { form, head }: Form): string {
  let left = text;
  for (let at = left.indexOf(head); at >= 0; at = left.indexOf(head, at + REMOVED.length)) {
    let length = head.length;
    while (length < form.length && left[at + length] === form[length]) length += 1;
    left = left.slice(0, at) + REMOVED + left.slice(at + length);
  }
  return left;
}

/** Of the last four letters, in sixteen bits. */
const hashed = (before: number, letter: number): number => ((before << 4) ^ letter) & 0xffff;

/**
 * Which of the forms begin in a text. Every payload and every line goes through it, so all are looked for at once: 16 KiB take
 * a fifth of the time that one search for each of 150 forms takes.
 */
function findForms(forms: Form[]): (text: string) => Form[] {
  const byStart = Map.groupBy(forms, ({ head }) => head.slice(0, 4));
  const starts = new Uint8Array(0x10000);
  for (const start of byStart.keys())
    starts[start.split('').reduce((hash, letter) => hashed(hash, letter.charCodeAt(0)), 0)] = 1;
  return (text) => {
    const found = new Set<Form>();
    let hash = 0;
    for (let i = 0; i < text.length; i += 1) {
      hash = hashed(hash, text.charCodeAt(i));
      if (starts[hash] === 0) continue;
      const from = i - 3;
      for (const form of byStart.get(text.slice(from, i + 1)) ?? [])
        if (text.startsWith(form.head, from)) found.add(form);
    }
    return forms.filter((form) => found.has(form));
  };
}

/** What looks like a secret, whosever it is. None takes a quote or a backslash, so that JSON stays JSON. `token:<name>` is who asks by an API token. */
const LOOKS: [RegExp, string | ((all: string, lead: string) => string)][] = [
  [/\b(bearer|basic)(\s+)[\w.~+/=-]{16,}/gi, `$1$2${REMOVED}`],
  [/(:\/\/[^\s:/?#@"'\\]*:)(?!\[removed\])[^\s@/"'\\]+(?=@)/gi, `$1${REMOVED}`],
  [/\b((sb_secret|whsec|gh[a-z]|github_pat|[sr]k_live|hf[st]|sbp|sntry[su])_|(xox[a-z]|glpat)-)[\w+/=-]{8,}/g, REMOVED],
  [/\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]+/g, REMOVED],
  [/\bAKIA[0-9A-Z]{16}\b/g, REMOVED],
  [
    /(?!token:[a-z0-9-])((?:password|passwd|secret|token|api[_-]?key|authorization)["']?\s*[=:]\s*["']?)(?!\[removed\]|bearer |basic )[^\s"',;&\\[\]{}]{6,}/gi,
    (_all, lead) => (/["']\s*[=:]\s*$/.test(lead) ? `${lead}"${REMOVED}"` : `${lead}${REMOVED}`), // a number of JSON
  ],
];

/** Takes out these secrets (also in Base64, in a URL and cut short), but for what can be guessed: texts need their words. */
export function createRedaction(secrets: string[]): Redact {
  const hidden = secrets.filter((one) => one.length >= SHORTEST && !canBeGuessed(one));
  const forms: Form[] = [...new Set(hidden.flatMap(formsOf))]
    .sort((a, b) => b.length - a.length)
    .map((form) => ({ form, head: form.slice(0, Math.max(SHORTEST, Math.ceil(form.length / 2))) }));
  const formsIn = findForms(forms);
  return (text) => {
    const there = formsIn(text);
    const whole = there.reduce((left, { form }) => left.replaceAll(form, REMOVED), text);
    const known = there.reduce(withoutCutShort, whole);
    return LOOKS.reduce((left, [looks, instead]) => left.replaceAll(looks, instead as string), known);
  };
}

/** The same in every text of a JSON value. */
export function redactAll(redact: Redact, value: unknown): unknown {
  if (typeof value === 'string') return redact(value);
  if (Array.isArray(value)) return value.map((one) => redactAll(redact, one));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [redact(key), redactAll(redact, one)]));
}

/** The same in an error that is on its way, and in what caused it. */
export function redactError(redact: Redact, error: unknown): void {
  const seen = new Set<unknown>();
  for (let one = error; typeof one === 'object' && one !== null && !seen.has(one); one = (one as Error).cause) {
    seen.add(one);
    for (const name of ['message', 'stack'] as const) {
      const text = (one as Error)[name];
      if (typeof text === 'string')
        Object.defineProperty(one, name, { value: redact(text), writable: true, configurable: true });
    }
  }
}

/** Names in double quotes stay; text, numbers and comments go, also where the end is cut off. */
const LEXEME =
  /"(?:[^"]|"")*"|\$\d+|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|\$(\w*)\$[\s\S]*?(?:\$\1\$|$)|\be'(?:[^'\\]|''|\\[\s\S])*(?:'|\\?$)|'(?:[^']|'')*(?:'|$)|\b\d[\d.]*\b/gi;

/** What a statement does, without the data that it does it to. */
export const withoutLiterals = (sql: string): string =>
  sql.replaceAll(LEXEME, (one) => (/^("|\$\d)/.test(one) ? one : /^(--|\/\*)/.test(one) ? ' ' : '?'));

/** What Postgres says, without the value that it refuses: it quotes it in errors of data and of syntax. */
export const withoutValues = (sqlState: string, message: string): string =>
  /^(22|42601)/.test(sqlState) ? message.replaceAll(/"[^"]*("|$)/g, '"…"') : message;
