import { existsSync, readFileSync } from 'node:fs';

interface Schema {
  type?: string;
  nullable?: boolean;
  enum?: unknown[];
  format?: string;
  properties?: Record<string, Schema>;
  items?: Schema;
  anyOf?: Schema[];
}
interface Operation {
  parameters: { name: string; in: string; required?: boolean; schema: Schema }[];
  responses: Record<string, { content?: { 'application/json'?: { schema: Schema } } }>;
}

/** Sentry's published OpenAPI document, which is too large to keep here; the requests are checked where it is at hand. */
const file = process.env['SENTRY_OPENAPI'] ?? '../shared/reference/sentry-openapi.json';
const paths = existsSync(file)
  ? (JSON.parse(readFileSync(file, 'utf8')) as { paths: Record<string, { get?: Operation }> }).paths
  : undefined;
export const contractIsAtHand = paths !== undefined;

const literals = (template: string): number => template.split('/').filter((part) => !part.startsWith('{')).length;

/** The path with the fewest variables that matches, as a router would take it. */
function operationOf(pathname: string): Operation | undefined {
  const [best] = Object.keys(paths ?? {})
    .filter((template) => new RegExp(`^${template.replace(/\{\w+\}/g, '[^/]+')}$`).test(pathname))
    .toSorted((a, b) => literals(b) - literals(a));
  return best === undefined ? undefined : paths?.[best]?.get;
}

function wrongIn(schema: Schema | undefined, value: unknown, at: string): string[] {
  if (schema === undefined || (value === null && schema.nullable)) return [];
  if (Array.isArray(value) && schema.type === 'array')
    return value.flatMap((item, i) => wrongIn(schema.items, item, `${at}/${i}`));
  if (schema.type === 'object' && value !== null && typeof value === 'object')
    return Object.entries(value).flatMap(([key, each]) => wrongIn(schema.properties?.[key], each, `${at}/${key}`));
  const types = { integer: 'number', array: 'an array' } as Record<string, string>;
  if (schema.type !== undefined && typeof value !== (types[schema.type] ?? schema.type))
    return [`${at} is no ${schema.type}`];
  return schema.enum === undefined || schema.enum.includes(value) ? [] : [`${at} is none of ${schema.enum.join(', ')}`];
}

/** What Sentry's document finds wrong with a GET and its answer; nothing where the document is not at hand. */
export function brokenRules(url: URL, answer: unknown): string[] {
  if (paths === undefined) return [];
  const operation = operationOf(url.pathname);
  if (operation === undefined) return [`${url.pathname} is no GET of Sentry`];
  const query = operation.parameters.filter((parameter) => parameter.in === 'query');
  const asked = [...url.searchParams].flatMap(([name, text]) => {
    const schema = query.find((parameter) => parameter.name === name)?.schema;
    if (schema === undefined) return [`${url.pathname} has no parameter ${name}`];
    const one = schema.type === 'array' ? schema.items : schema;
    return wrongIn(
      one,
      one?.type === 'integer' || one?.type === 'boolean' ? (JSON.parse(text) as unknown) : text,
      name,
    );
  });
  const missing = query.filter(({ required, name }) => required && !url.searchParams.has(name));
  const schema = operation.responses['200']?.content?.['application/json']?.schema;
  return [...asked, ...missing.map(({ name }) => `${name} is missing`), ...wrongIn(schema, answer, 'answer')];
}
