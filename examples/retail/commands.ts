// What the shop asks of the platform: an opening stock, then one command for each order line.
import {hash32} from './hash.ts';
import type {OrderLine} from './orders.ts';
import type {Router} from './routing.ts';

export interface Command {
  /** The Idempotency-Key: the same line is the same command, however often it is sent. */
  readonly key: string;
  readonly item: string;
  readonly region: string;
  readonly name: 'receive' | 'reserve' | 'release';
  readonly quantity: number;
}

export const salesOf = (orders: readonly OrderLine[], route: Router): readonly Command[] =>
  orders.map(order => ({
    key: `line-${order.line}`,
    item: order.item,
    region: route(order),
    name: order.quantity > 0 ? 'reserve' : 'release',
    quantity: Math.abs(order.quantity),
  }));

/** How much of its demand an item is stocked with: with less than 1 it runs out. */
const STOCK_FACTORS = [0.5, 0.8, 1, 1.3];

export const stockFactor = (item: string): number => STOCK_FACTORS[hash32(item) % STOCK_FACTORS.length]!;

/** Each region receives its part of what it will be asked for. */
export function openingOf(sales: readonly Command[]): readonly Command[] {
  const demand = new Map<string, {item: string; region: string; quantity: number}>();
  for (const {item, region, name, quantity} of sales) {
    if (name !== 'reserve') continue;
    const key = `open-${region}-${item}`;
    const before = demand.get(key)?.quantity ?? 0;
    demand.set(key, {item, region, quantity: before + quantity});
  }
  return [...demand].map(([key, {item, region, quantity}]) => ({
    key,
    item,
    region,
    name: 'receive',
    quantity: Math.ceil(quantity * stockFactor(item)),
  }));
}
