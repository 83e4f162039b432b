/** What of a migration takes something away that a release may use, and what does not. */
import { readMigration } from '../../activities/migrations/statements.ts';

const destroys = async (sql: string): Promise<string[]> => (await readMigration(sql)).destroys;

it.each([
  ['drop table orders, app.items', ['drop table orders', 'drop table app.items']],
  ['drop table if exists public.orders cascade', ['drop table orders']],
  [
    'alter table orders drop column note, drop if exists other',
    ['drop column orders.note', 'drop column orders.other'],
  ],
  ['alter table orders alter note type varchar(10)', ['change type of orders.note']],
  ['alter table orders alter note set not null', ['require orders.note']],
  ['alter table orders add must int not null', ['require orders.must']],
  ['alter table orders rename column a to b', ['rename column orders.a to b']],
  ['alter table orders rename to sales', ['rename table orders to sales']],
  ['alter function f(int) rename to g', ['rename function f to g']],
  [`alter type status rename value 'a' to 'b'`, ['rename value status.a']],
  ['alter table orders set schema archive', ['move table orders to archive']],
  ['alter table events detach partition events_2025', ['detach partition events_2025']],
  ['alter type address drop attribute street', ['drop column address.street']],
  ['drop view totals', ['drop view totals']],
  ['drop materialized view totals', ['drop matview totals']],
  ['drop function f(int)', ['drop function f']],
  ['drop type status', ['drop type status']],
  ['drop schema app cascade', ['drop schema app']],
  ['drop extension citext', ['drop extension citext']],
  ['drop policy mine on orders', ['drop policy orders.mine']],
  ['drop trigger audit on orders', ['drop trigger orders.audit']],
  ['drop owned by someone', ['drop owned']],
  ['drop role someone', ['drop role']],
  ['truncate orders, items', ['truncate orders', 'truncate items']],
  ['delete from orders where id = 1', ['delete from orders']],
  ['with gone as (delete from orders returning *) insert into archive select * from gone', ['delete from orders']],
  ['merge into orders using items on true when matched then delete', ['delete by merge']],
  ['create table if not exists orders (id int); drop table orders', ['drop table orders']],
  ['drop table orders; create table orders (id int)', ['drop table orders']],
  ['do $$ begin drop table orders; end $$', ['do block with drop']],
  [`do $$ begin\nexecute 'x'; end $$`, ['do block with execute']],
])('counts %s', async (sql, expected) => {
  expect(await destroys(sql)).toEqual(expected);
});

it.each([
  'create table orders (id int primary key, note text not null)',
  'alter table orders add column note text',
  `alter table orders add column note text not null default ''`,
  'alter table orders add column id bigserial not null',
  'alter table orders add column id int generated always as identity',
  'alter table orders alter note drop not null',
  'alter table orders add constraint positive check (id > 0)',
  'alter table orders enable row level security',
  'update orders set note = null',
  `insert into orders values (1, 'drop table orders; delete from items')`,
  '-- drop table orders',
  'create index on orders (note); drop index by_note; alter index a rename to b',
  'create or replace view totals as select 1 as one',
  `create function clean() returns void language sql begin atomic delete from orders; end`,
  `create function clean() returns void language plpgsql as $$ begin delete from orders; end $$`,
  'create temp table moved as select 1 as id; alter table moved rename to other; drop table moved',
  'create table fresh (id int); alter table fresh drop column id; truncate public.fresh; delete from fresh',
  'drop policy if exists mine on orders; create policy mine on public.orders using (true)',
  'drop trigger if exists audit on orders; create trigger audit after insert on orders execute function audit()',
  `do $$ begin create type status as enum ('a'); exception when duplicate_object then null; end $$`,
  `alter type status add value 'b'`,
  '',
])('does not count %s', async (sql) => {
  expect(await destroys(sql)).toEqual([]);
});

it('counts what cannot be parsed, with the reason', async () => {
  expect(await readMigration('drop tabel orders')).toEqual({
    marked: false,
    destroys: [expect.stringContaining('cannot be parsed: syntax error at or near "tabel"')],
  });
});

it.each([
  ['-- holdfast: contract\ndrop table a', true],
  ['drop table a;\n  --holdfast:contract', true],
  ['drop table a;\r\n-- holdfast: contract\r\n', true],
  [`insert into notes values ('-- holdfast: contract')`, false],
  ['-- not yet holdfast: contract', false],
  ['drop table a', false],
])('sees whether %j is marked', async (sql, marked) => {
  expect((await readMigration(sql)).marked).toBe(marked);
});

it('names twenty things at most, and says how many more there are', async () => {
  const found = await destroys(`drop table ${Array.from({ length: 30 }, (_, n) => `t${n}`).join(', ')}`);
  expect(found).toHaveLength(21);
  expect(found.at(-1)).toBe('and 10 more');
});
