import { randomUUID } from 'node:crypto';
import { products, saveOrder, type Order, type Product } from './store.ts';

export interface Basket {
  user: string;
  items: Order['items'];
}
export interface Receipt {
  order: string;
  lines: { name: string; quantity: number; cents: number }[];
  totalCents: number;
}

/** Price of one piece in cents, after its discount. */
function priceOf(product: Product): number {
  return Math.round(product.price_cents * (1 - (product.discount?.percent ?? 0) / 100));
}

/** Order what is in the basket. Express checkout prices it from the catalogue that was read last. */
export async function checkout({ user, items }: Basket, express: boolean): Promise<Receipt> {
  const catalogue = express ? await recentProducts() : await products(items.map(({ product }) => product));
  const lines = items.map(({ product: id, quantity }) => {
    const product = catalogue.find((each) => each.id === id);
    if (product === undefined) throw new UnknownProduct(id);
    return { name: product.name, quantity, cents: priceOf(product) * quantity };
  });
  const totalCents = lines.reduce((sum, { cents }) => sum + cents, 0);
  const order = randomUUID();
  await saveOrder({ id: order, user_id: user, items, total_cents: totalCents, express });
  return { order, lines, totalCents };
}

export class UnknownProduct extends Error {
  constructor(id: number) {
    super(`there is no product ${id}`);
  }
}

const RECENT_MS = 10_000;
let recent: { at: number; products: Promise<Product[]> } | undefined;

function recentProducts(): Promise<Product[]> {
  if (recent === undefined || Date.now() - recent.at > RECENT_MS) {
    recent = { at: Date.now(), products: products() };
    recent.products.catch(() => (recent = undefined));
  }
  return recent.products;
}
