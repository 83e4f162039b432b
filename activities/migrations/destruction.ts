/** What statements take away that a release may use. Calls of functions and what a `do` block makes up are beyond it. */
import type { AlterTableStmt, ColumnDef, DropStmt, Node, RangeVar, RenameStmt } from 'libpg-query';

/** A release does without these, or with them under another name. */
const UNUSED_BY_RELEASES = ['OBJECT_INDEX', 'OBJECT_STATISTIC_EXT'];
const UNNAMED_BY_RELEASES = [...UNUSED_BY_RELEASES, 'OBJECT_POLICY', 'OBJECT_TRIGGER', 'OBJECT_RULE'];
/** Text of a `do` block that may take something away; `execute` of a trigger's function does not. */
const IN_A_BLOCK =
  /\b(drop|truncate|delete|rename|set\s+not\s+null|set\s+schema|execute(?!\s+(function|procedure)\b))\b/i;
/** Nothing of their bodies runs when they are made. */
const BODIES = ['CreateFunctionStmt', 'RuleStmt'];
const SERIAL = /serial\d*$/;

/** In the order of the statements. What a migration itself has made before is not counted. */
export function destruction(statements: Node[]): string[] {
  const made = new Set<string>();
  const again = new Set(statements.flatMap(namesMade));
  return statements.flatMap((node) => {
    const found = within(node, made, again);
    if ('CreateStmt' in node && node.CreateStmt.if_not_exists !== true)
      made.add(relationName(node.CreateStmt.relation));
    if ('CreateTableAsStmt' in node && node.CreateTableAsStmt.if_not_exists !== true)
      made.add(relationName(node.CreateTableAsStmt.into?.rel));
    return found;
  });
}

/** Name as a person writes it, without the default schema. */
export function relationName(relation: RangeVar | undefined): string {
  const schema = relation?.schemaname;
  return [...(schema === undefined || schema === 'public' ? [] : [schema]), relation?.relname ?? ''].join('.');
}

/** Policies and triggers that are dropped to be made anew. */
function namesMade(node: Node): string[] {
  if ('CreatePolicyStmt' in node)
    return [`OBJECT_POLICY ${relationName(node.CreatePolicyStmt.table)}.${node.CreatePolicyStmt.policy_name}`];
  if ('CreateTrigStmt' in node)
    return [`OBJECT_TRIGGER ${relationName(node.CreateTrigStmt.relation)}.${node.CreateTrigStmt.trigname}`];
  return [];
}

/** Of a node and everything in it: a `delete` may stand in a `with`. */
function within(value: unknown, made: Set<string>, again: Set<string>): string[] {
  if (Array.isArray(value)) return value.flatMap((each) => within(each, made, again));
  if (typeof value !== 'object' || value === null) return [];
  const inner = Object.entries(value).flatMap(([type, child]) =>
    BODIES.includes(type) ? [] : within(child, made, again),
  );
  return [...ofNode(value as Node, made, again), ...inner];
}

function ofNode(node: Node, made: Set<string>, again: Set<string>): string[] {
  const known = (relation: RangeVar | undefined): boolean => made.has(relationName(relation));
  if ('DropStmt' in node) return dropped(node.DropStmt, made, again);
  if ('AlterTableStmt' in node) return known(node.AlterTableStmt.relation) ? [] : altered(node.AlterTableStmt);
  if ('RenameStmt' in node) return known(node.RenameStmt.relation) ? [] : renamed(node.RenameStmt);
  if ('TruncateStmt' in node)
    return (node.TruncateStmt.relations ?? [])
      .map((each) => ('RangeVar' in each ? relationName(each.RangeVar) : ''))
      .filter((name) => !made.has(name))
      .map((name) => `truncate ${name}`);
  if ('DeleteStmt' in node)
    return known(node.DeleteStmt.relation) ? [] : [`delete from ${relationName(node.DeleteStmt.relation)}`];
  if ('MergeWhenClause' in node) return node.MergeWhenClause.commandType === 'CMD_DELETE' ? ['delete by merge'] : [];
  if ('AlterObjectSchemaStmt' in node) {
    const { objectType, relation, object, newschema } = node.AlterObjectSchemaStmt;
    if (relation !== undefined && known(relation)) return [];
    return [`move ${wordOf(objectType)} ${relation ? relationName(relation) : nameOf(object)} to ${newschema}`];
  }
  if ('AlterEnumStmt' in node)
    return node.AlterEnumStmt.oldVal === undefined
      ? []
      : [`rename value ${(node.AlterEnumStmt.typeName ?? []).map(nameOf).join('.')}.${node.AlterEnumStmt.oldVal}`];
  if ('DropOwnedStmt' in node) return ['drop owned'];
  if ('DropRoleStmt' in node) return ['drop role'];
  if ('DropdbStmt' in node) return [`drop database ${node.DropdbStmt.dbname}`];
  if ('DoStmt' in node) {
    const texts = (node.DoStmt.args ?? []).map((each) => ('DefElem' in each ? nameOf(each.DefElem.arg) : ''));
    const found = IN_A_BLOCK.exec(texts.join(' '));
    return found === null ? [] : [`do block with ${found[1]?.toLowerCase()}`];
  }
  return [];
}

function dropped({ removeType = 'OBJECT_TABLE', objects = [] }: DropStmt, made: Set<string>, again: Set<string>) {
  if (UNUSED_BY_RELEASES.includes(removeType)) return [];
  return objects
    .map(nameOf)
    .filter((name) => !(removeType === 'OBJECT_TABLE' && made.has(name)) && !again.has(`${removeType} ${name}`))
    .map((name) => `drop ${wordOf(removeType)} ${name}`);
}

function renamed({ renameType, relation, object, subname, newname }: RenameStmt): string[] {
  if (UNNAMED_BY_RELEASES.includes(renameType ?? '')) return [];
  const of = [...(relation ? [relationName(relation)] : []), ...(object ? [nameOf(object)] : [])];
  return [`rename ${wordOf(renameType)} ${[...of, ...(subname ? [subname] : [])].join('.')} to ${newname}`];
}

function altered({ relation, cmds = [] }: AlterTableStmt): string[] {
  const table = relationName(relation);
  return cmds.flatMap((each) => {
    if (!('AlterTableCmd' in each)) return [];
    const { subtype, name, def } = each.AlterTableCmd;
    if (subtype === 'AT_DropColumn') return [`drop column ${table}.${name}`];
    if (subtype === 'AT_AlterColumnType') return [`change type of ${table}.${name}`];
    if (subtype === 'AT_SetNotNull') return [`require ${table}.${name}`];
    if (subtype === 'AT_DetachPartition' && def && 'PartitionCmd' in def)
      return [`detach partition ${relationName(def.PartitionCmd.name)}`];
    if (subtype === 'AT_AddColumn' && def && 'ColumnDef' in def && isRequired(def.ColumnDef))
      return [`require ${table}.${def.ColumnDef.colname}`];
    return [];
  });
}

/** A column that an insert of a release that does not know it leaves empty, though it must not be. */
function isRequired({ constraints = [], typeName }: ColumnDef): boolean {
  const kinds = constraints.map((each) => ('Constraint' in each ? each.Constraint.contype : undefined));
  const filled = kinds.some((kind) => ['CONSTR_DEFAULT', 'CONSTR_IDENTITY', 'CONSTR_GENERATED'].includes(kind ?? ''));
  const required = kinds.some((kind) => kind === 'CONSTR_NOTNULL' || kind === 'CONSTR_PRIMARY');
  return required && !filled && !SERIAL.test((typeName?.names ?? []).map(nameOf).join('.'));
}

/** `OBJECT_MATVIEW` → `matview`. */
const wordOf = (type: string | undefined): string =>
  (type ?? '').replace('OBJECT_', '').replaceAll('_', ' ').toLowerCase();

function nameOf(node: Node | undefined): string {
  if (node === undefined) return '';
  const join = (parts: Node[] = []): string => {
    const names = parts.map(nameOf);
    return (names.length > 1 && ['public', 'pg_catalog'].includes(names[0] ?? '') ? names.slice(1) : names).join('.');
  };
  if ('String' in node) return node.String.sval ?? '';
  if ('List' in node) return join(node.List.items);
  if ('TypeName' in node) return join(node.TypeName.names);
  if ('ObjectWithArgs' in node) return join(node.ObjectWithArgs.objname);
  if ('RangeVar' in node) return relationName(node.RangeVar);
  return '';
}
