-- Products and orders of the shop. Some products have no discount.
create table public.products (
  id bigint generated always as identity primary key,
  name text not null unique,
  price_cents integer not null check (price_cents > 0),
  discount jsonb
);

create table public.orders (
  id uuid primary key,
  user_id text not null check (length(user_id) between 1 and 100),
  items jsonb not null,
  total_cents integer not null check (total_cents >= 0),
  express boolean not null default false,
  created_at timestamptz not null default now()
);
create index orders_created_at on public.orders (created_at);

alter table public.products enable row level security;
alter table public.orders enable row level security;

create policy products_are_public on public.products for select to anon, authenticated using (true);
create policy anyone_may_order on public.orders for insert to anon, authenticated with check (true);

grant usage on schema public to anon, authenticated, service_role;
grant select on public.products to anon, authenticated;
grant insert on public.orders to anon, authenticated;
grant all on public.products, public.orders to service_role;

insert into public.products (name, price_cents, discount) values
  ('Espresso cup', 1200, '{"percent": 10}'),
  ('Teapot', 4500, '{"percent": 15}'),
  ('Cutting board', 3200, '{"percent": 5}'),
  ('Chef''s knife', 8900, '{"percent": 20}'),
  ('Cast-iron pan', 6400, '{"percent": 10}'),
  ('Linen apron', 3900, null),
  ('Pepper mill', 2900, '{"percent": 5}'),
  ('Salt cellar', 1900, null),
  ('Whisk', 1400, '{"percent": 10}'),
  ('Cookbook', 3500, null);
