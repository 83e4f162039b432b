/**
 * Programs of the shop that misbehave, for game days: `node examples/shop/faults.ts <name>` until SIGTERM, against the database
 * that SHOP_DATABASE_URL names, through its pool where there is one.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';

const ROWS = 1_000_000;
const REPORTS = 12;
const AGAIN_MS = 500;
const PAUSE_MS = 20;

const connectionString = process.env['SHOP_DATABASE_URL'];
async function connect(application_name: string): Promise<Client> {
  const client = new Client({ connectionString, application_name });
  client.on('error', (error) => console.log(`${application_name}: ${error.message}`));
  await client.connect();
  return client;
}

const faults: Record<string, () => Promise<void>> = {
  /** What buyers think of the products: many reviews, and no index. Ends when they are there. */
  async reviews() {
    const maker = await connect('reviews-import');
    await maker.query('drop table if exists reviews');
    await maker.query('create table reviews (id bigint generated always as identity, product int not null, stars int)');
    await maker.query(
      `insert into reviews (product, stars) select n % 5000, 1 + n % 5 from generate_series(1, ${ROWS}) as n`,
    );
    await maker.query('analyze reviews');
    await maker.end();
    console.log(`made ${ROWS} reviews`);
  },
  async 'no-reviews'() {
    const maker = await connect('reviews-import');
    await maker.query('drop table if exists reviews');
    await maker.end();
  },
  /** A transaction that was begun, took a lock, and was forgotten. When it is ended, nobody takes it up again. */
  async 'idle-in-transaction'() {
    const client = await connect('price-import');
    await client.query('begin');
    await client.query('lock table products in access exclusive mode');
    console.log('holds the products');
    await new Promise<void>((resolve) => client.on('end', resolve));
    console.log('was ended');
  },
  /** Reports that each read a large table from end to end, for want of an index; who is cut off comes back. */
  async 'slow-query'() {
    const maker = await connect('visits-import');
    await maker.query('drop table if exists visits');
    await maker.query('create table visits (id bigint generated always as identity, customer int not null, page text)');
    await maker.query(
      `insert into visits (customer, page) select n % 50000, 'page-' || n % 100 from generate_series(1, ${ROWS}) as n`,
    );
    await maker.query('analyze visits');
    await maker.end();
    console.log(`made ${ROWS} visits; ${REPORTS} reports read them`);
    const report = async (customer: number): Promise<never> => {
      for (;;) {
        const client = await connect('visits-report').catch(() => undefined);
        for (let going = client !== undefined; going;)
          going = await client!
            .query('select page, count(*) from visits where customer = $1 group by page', [customer])
            .then(
              () => sleep(PAUSE_MS, true),
              () => false,
            );
        await client?.end().catch(() => undefined);
        await sleep(AGAIN_MS);
      }
    };
    await Promise.all(Array.from({ length: REPORTS }, (_, i) => report(i)));
  },
};

const [name = ''] = process.argv.slice(2);
const fault = faults[name];
if (fault === undefined || connectionString === undefined)
  throw new Error(`usage: SHOP_DATABASE_URL=… node examples/shop/faults.ts ${Object.keys(faults).join('|')}`);
await fault();
