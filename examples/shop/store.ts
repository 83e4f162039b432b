import { createClient } from '@supabase/supabase-js';
import { config } from './config.ts';

export interface Discount {
  percent: number;
}
export interface Product {
  id: number;
  name: string;
  price_cents: number;
  discount: Discount | null;
}
export interface Order {
  id: string;
  user_id: string;
  items: { product: number; quantity: number }[];
  total_cents: number;
  express: boolean;
}

const supabase = createClient(config.supabaseUrl, config.supabaseKey, {
  auth: { persistSession: false },
  global: { fetch: (input, init) => fetch(input, { ...init, signal: AbortSignal.timeout(5000) }) },
});

export async function products(ids?: number[]): Promise<Product[]> {
  const all = supabase.from('products').select('id, name, price_cents, discount');
  const { data, error } = await (ids === undefined ? all : all.in('id', ids)).order('id');
  if (error !== null) throw new Error(`products cannot be read: ${error.message}`);
  return data as Product[];
}

export async function saveOrder(order: Order): Promise<void> {
  const { error } = await supabase.from('orders').insert(order);
  if (error !== null) throw new Error(`the order cannot be saved: ${error.message}`);
}
