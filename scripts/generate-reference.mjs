// Writes docs/configuration.md from the schemas: types and defaults as zod has them, descriptions from the comments beside them.
// usage: node scripts/generate-reference.mjs [--check]
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import ts from 'typescript';
import { format, resolveConfig } from 'prettier';
import { z } from 'zod';
import { Settings } from '../src/contracts/index.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const parse = (file) => ts.createSourceFile(file, readFileSync(join(root, file), 'utf8'), ts.ScriptTarget.Latest, true);

/** What is declared in the contracts, by its name. */
const declared = new Map();
for (const file of globSync('src/contracts/*.ts', { cwd: root }).sort())
  parse(file).forEachChild((node) => {
    if (!ts.isVariableStatement(node)) return;
    for (const { name, initializer } of node.declarationList.declarations)
      if (initializer !== undefined) declared.set(name.getText(), { node, initializer });
  });

const commentOf = (node) =>
  ts
    .getJSDocCommentsAndTags(node)
    .map(({ comment }) => (typeof comment === 'string' ? comment : (ts.getTextOfJSDocComment(comment) ?? '')))
    .join(' ')
    .replaceAll(/\s+/g, ' ')
    .trim();

/** The properties that an expression of zod describes, with what is said of each: its own comment, else that of what it names. */
function propertiesOf(expression) {
  const found = new Map();
  const visit = (node) => {
    if (ts.isIdentifier(node) && declared.has(node.text) && node.parent.name !== node) {
      for (const [name, one] of propertiesOf(declared.get(node.text).initializer)) found.set(name, one);
      return;
    }
    if (!ts.isObjectLiteralExpression(node)) return void node.forEachChild(visit);
    const makes = ts.isCallExpression(node.parent) ? node.parent.expression.getText() : '';
    if (!/\b(object|extend)$/.test(makes)) return;
    for (const property of node.properties)
      if (ts.isPropertyAssignment(property)) {
        const named = ts.isIdentifier(property.initializer) ? declared.get(property.initializer.text) : undefined;
        const comment = commentOf(property) || (named ? commentOf(named.node) : '');
        found.set(property.name.getText(), { comment, expression: property.initializer });
      }
  };
  visit(expression);
  return found;
}

const text = (value) => JSON.stringify(value).replaceAll('|', String.raw`\|`);
const code = (value) => `\`${value}\``;
const KINDS = ['uri', 'email', 'date', 'date-time'];
function typeOf(schema) {
  if (schema.enum !== undefined) return schema.enum.map((one) => code(text(one))).join(', ');
  if (schema.const !== undefined) return code(text(schema.const));
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeOf).join(' or ');
  if (schema.prefixItems !== undefined) return `[${schema.prefixItems.map(typeOf).join(', ')}]`;
  if (schema.type === 'array') return `list${schema.items === undefined ? '' : ` of ${typeOf(schema.items)}`}`;
  const { type, minimum, maximum, exclusiveMinimum, format: kind } = schema;
  const limits = [
    exclusiveMinimum !== undefined && `over ${exclusiveMinimum}`,
    minimum !== undefined && minimum > -1e15 && `from ${minimum}`,
    maximum !== undefined && maximum < 1e15 && `to ${maximum}`,
  ].filter(Boolean);
  const name = schema.pattern?.includes('milliseconds') ? 'duration' : KINDS.includes(kind) ? kind : (type ?? 'any');
  return [name, ...limits].join(' ');
}
/** What is inside a schema, and how one gets there. */
function inside(schema) {
  if (schema.properties !== undefined) return { at: '', schema };
  if (schema.type === 'array' && schema.items?.properties !== undefined) return { at: '[]', schema: schema.items };
  const { additionalProperties: values } = schema;
  return values?.properties !== undefined ? { at: '.<name>', schema: values } : undefined;
}

const settings = [];
function describe(path, { schema, expression }) {
  const said = propertiesOf(expression);
  for (const [name, one] of Object.entries(schema.properties)) {
    const { comment = '', expression: own } = said.get(name) ?? {};
    const needed = schema.required?.includes(name) === true && one.default === undefined;
    const deeper = inside(one);
    const whole = deeper !== undefined || one.default === undefined;
    settings.push([
      [path, name].filter(Boolean).join('.'),
      deeper === undefined ? typeOf(one) : one.type === 'array' ? 'list' : 'object',
      whole ? (needed ? 'needed' : '') : code(text(one.default)),
      comment,
    ]);
    if (deeper !== undefined && own !== undefined)
      describe([path, name].filter(Boolean).join('.') + deeper.at, { schema: deeper.schema, expression: own });
  }
}
describe('', {
  schema: z.toJSONSchema(Settings, { io: 'input', unrepresentable: 'any', reused: 'inline' }),
  expression: declared.get('Settings').initializer,
});

/** Variables of the environment, as each provider, channel and process declares them beside its code. */
const variables = new Map();
for (const file of globSync(['src/config.ts', 'src/github.ts', 'src/channels/**/*.ts', 'activities/*.ts'], {
  cwd: root,
}).sort()) {
  const visit = (node) => {
    const isVariable = ts.isPropertyAssignment(node) && /^[A-Z][A-Z0-9_]{3,}$/.test(node.name.getText());
    if (isVariable && /^(z$|z\s*\.|Secret$)/.test(node.initializer.getText())) {
      const name = node.name.getText();
      const schema = node.initializer.getText();
      const known = variables.get(name) ?? { by: [], comment: '', fallback: '', needed: false };
      const [, fallback] = /\.default\('?([^')]*)'?\)/.exec(schema) ?? [];
      variables.set(name, {
        by: [...known.by, file.replace(/^src\/|\.ts$/g, '')],
        comment: known.comment || commentOf(node),
        fallback: known.fallback || fallback || '',
        needed: known.needed || !/optional\(\)|\.default\(|^Secret$/.test(schema),
      });
    }
    node.forEachChild(visit);
  };
  visit(parse(file));
}

/** Not within code, which Markdown shows as it is. */
const escaped = (comment) =>
  comment
    .replaceAll('|', String.raw`\|`)
    .split('`')
    .map((part, i) => (i % 2 === 0 ? part.replaceAll('<', String.raw`\<`) : part))
    .join('`');
const table = (head, rows) => [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
const ENVIRONMENT = 'services[].environments.<name>.';
const settingsTable = (wanted) =>
  table(
    ['Setting', 'Type', 'Default', ''],
    settings
      .filter(([path]) => wanted(path))
      .map(([path, type, fallback, comment]) => [
        code(path.replace(ENVIRONMENT, '')),
        type,
        fallback,
        escaped(comment),
      ]),
  );
const markdown = `# Configuration

Generated by \`npm run index\` from the schemas in \`src/contracts/\` and beside each provider: do not edit. What is wrong with a configuration is said with its path when a process starts, and by \`npm run -s holdfast -- doctor\`.

## \`holdfast.config.ts\`

What has neither "needed" nor a default may be left out, and what depends on it is off then.

${settingsTable((path) => !path.startsWith(ENVIRONMENT))}

### An environment

Each of \`${ENVIRONMENT.slice(0, -1)}\`:

${settingsTable((path) => path.startsWith(ENVIRONMENT))}

## Variables of the environment

Secrets come from here alone, or from files that are named like them in \`HOLDFAST_SECRETS_DIR\`. A provider whose "needed" variables are not set is not there, and the worker says so when it starts. The secrets of alert sources and channels are in the README.

${table(
  ['Variable', 'Needed by', 'Default', ''],
  [...variables]
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([name, { by, comment, fallback, needed }]) => [
      code(name),
      by.includes('config')
        ? 'every process'
        : `${[...new Set(by)].map(code).join(', ')}${needed ? '' : ' (optional)'}`,
      fallback === '' ? '' : code(fallback),
      escaped(comment),
    ]),
)}
`;

const file = join(root, 'docs/configuration.md');
const formatted = await format(markdown, { ...(await resolveConfig(file)), filepath: file });
if (process.argv.includes('--check')) {
  if (readFileSync(file, 'utf8') === formatted) process.exit(0);
  console.error('docs/configuration.md is stale: run npm run index');
  process.exit(1);
}
writeFileSync(file, formatted);
