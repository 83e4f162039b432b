/** What a migration does to the schema, from Postgres's own parse tree: nothing of it is run. */
import { parse, type Node, type RawStmt } from 'libpg-query';
import { destruction } from './destruction.ts';

const MARK = /^[ \t]*--[ \t]*holdfast:[ \t]*contract[ \t]*$/m;
const SHOWN = 20;

/** A statement that Postgres runs outside of a transaction only, so that it must be able to be begun again. */
export interface Lone {
  statement: string;
  /** The index that it makes on a table (with its schema, where that is given), which an attempt that was cut short leaves invalid. */
  makes?: { name: string; table: string[] };
}

export interface Reading {
  /** What it takes away that a release may use, in words: `drop column orders.note`. */
  destroys: string[];
  /** Whether a person has marked it: no release that does not know it can be served any more. */
  marked: boolean;
  /** Why it cannot be applied as it is. */
  flaw?: string;
  /** Its statements, where they run outside of a transaction. */
  lone?: Lone[];
}

/** Whether the text has the line `-- holdfast: contract`. */
export const isMarked = (sql: string): boolean => MARK.test(sql);

/** What a migration says. One that cannot be parsed counts as one that destroys. */
export async function readMigration(sql: string): Promise<Reading> {
  const marked = isMarked(sql);
  let statements: RawStmt[];
  try {
    statements = sql.trim() === '' ? [] : ((await parse(sql)).stmts ?? []); // the parser refuses nothing at all
  } catch (error) {
    return { marked, destroys: [`cannot be parsed: ${(error as Error).message}`.slice(0, 200)] };
  }
  const destroys = destruction(statements.flatMap(({ stmt }) => stmt ?? []));
  const shown = destroys.slice(0, SHOWN).map((each) => each.slice(0, 200));
  if (destroys.length > SHOWN) shown.push(`and ${destroys.length - SHOWN} more`);
  return { marked, destroys: shown, ...mannerOf(sql, statements) };
}

function mannerOf(sql: string, statements: RawStmt[]): Pick<Reading, 'flaw' | 'lone'> {
  const nodes = statements.flatMap(({ stmt }) => stmt ?? []);
  if (nodes.some(endsTransaction))
    return { flaw: 'it begins or ends transactions itself: take that out, each migration is one transaction' };
  if (!nodes.some(isConcurrent)) return {};
  const bytes = Buffer.from(sql);
  const lone = statements.flatMap(({ stmt, stmt_location: from = 0, stmt_len: length }): Lone[] => {
    const statement = bytes.subarray(from, length ? from + length : undefined).toString();
    if (stmt === undefined || !isConcurrent(stmt)) return [];
    if ('DropStmt' in stmt) return stmt.DropStmt.missing_ok === true ? [{ statement }] : [];
    const { idxname: name, relation } = stmt.IndexStmt;
    return name === undefined
      ? []
      : [{ statement, makes: { name, table: [relation?.schemaname ?? [], relation?.relname ?? []].flat() } }];
  });
  if (lone.length === nodes.length) return { lone };
  return {
    flaw: 'concurrent statements need a file without others, a name for each index, and "if exists" where one is dropped',
  };
}

const endsTransaction = (node: Node): boolean =>
  'TransactionStmt' in node && !/SAVEPOINT|RELEASE|ROLLBACK_TO/.test(node.TransactionStmt.kind ?? '');

function isConcurrent(node: Node): node is Extract<Node, { IndexStmt: unknown } | { DropStmt: unknown }> {
  if ('IndexStmt' in node) return node.IndexStmt.concurrent === true;
  return 'DropStmt' in node && node.DropStmt.concurrent === true;
}
