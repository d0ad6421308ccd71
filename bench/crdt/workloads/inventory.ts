// The business entity of W4 and W8, and what happens to it in a working day.
import {below, pick, type Random} from '../random.ts';
import type {EntityContent, Scalar} from '../subject.ts';
import {padded, range} from '../workload.ts';

const SUPPLIERS = [
  'Nordwind Handels GmbH, Hamburg',
  'Kaveri Steelworks Ltd, Chennai',
  'Pacific Rim Goods Inc, Seattle',
];
const CATEGORIES = ['kitchen', 'outdoor', 'office', 'storage'];
const AISLES = range(40).map(index => `weur-2/aisle-${10 + index}/shelf-${10 + ((index * 7) % 30)}`);
const AGENTS = range(30).map(index => padded('agent', index));

/** Twelve fields, about 323 bytes of JSON. */
export const drawItem = (random: Random, index: number): EntityContent => ({
  name: `Vacuum bottle, stainless steel, brushed finish, 750 ml, catalogue no. ${10_000 + index}`,
  sku: `SKU-${String(10_000_000 + below(random, 89_999_999))}-BLK`,
  category: pick(random, CATEGORIES),
  price: 1_000 + below(random, 9_000),
  weightGrams: 100 + below(random, 900),
  active: random() < 0.9,
  stock: 100 + below(random, 900),
  received: 1_000 + below(random, 9_000),
  sold: 100 + below(random, 900),
  supplier: pick(random, SUPPLIERS),
  location: pick(random, AISLES),
  updatedBy: pick(random, AGENTS),
});

export type Edit = {readonly field: string} & ({readonly by: number} | {readonly value: Scalar});

/** Half of the edits count, the others assign: goods come and go more often than shelves and prices change. */
export function drawEdit(random: Random): Edit {
  const dice = random();
  if (dice < 0.35) return {field: 'sold', by: 1 + below(random, 5)};
  if (dice < 0.5) return {field: 'received', by: 1 + below(random, 100)};
  if (dice < 0.7) return {field: 'stock', value: below(random, 1_000)};
  if (dice < 0.85) return {field: 'updatedBy', value: pick(random, AGENTS)};
  if (dice < 0.93) return {field: 'price', value: 1_000 + below(random, 9_000)};
  if (dice < 0.98) return {field: 'location', value: pick(random, AISLES)};
  return {field: 'active', value: random() < 0.5};
}
