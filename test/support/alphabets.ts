// For each type a few operations that collide: the letters of the scripts that are all tried.
import {REPLICAS} from './subjects.ts';

const [, US, AP] = REPLICAS;
const SAFE_MAX = 2n ** 53n - 1n;
const inKey = (inner: unknown) => ({kind: 'update', key: 'k', inner});
const REMOVED = {kind: 'remove', key: 'k'};
const ADD = {kind: 'add', element: 'a'};
const REMOVE = {kind: 'remove', element: 'a'};

const ADD_OTHER = {kind: 'add', element: 'ab'};
const inOther = (inner: unknown) => ({kind: 'update', key: 'l', inner});

const ALPHABETS: Readonly<Record<string, readonly unknown[]>> = {
  banned: [ADD, REMOVE, ADD_OTHER],
  bins: [inKey(1n), inKey(-2n), REMOVED],
  labels: [inKey(ADD), inKey(REMOVE), REMOVED, inKey(ADD_OTHER)],
  name: [1, 2, null],
  notes: [inKey(1), inKey('x'), REMOVED],
  open: ['enable', 'disable'],
  price: [1, 2, null],
  roles: [inKey(1), REMOVED, inOther(1)],
  seats: [
    {kind: 'provision', amount: 2n},
    {kind: 'increment', amount: 1n},
    {kind: 'decrement', amount: 1n},
    {kind: 'transferRoom', to: US, amount: 1n},
    {kind: 'transferStock', to: US, amount: 1n},
  ],
  sold: [SAFE_MAX, -1n, 1n],
  stock: [
    {kind: 'increment', amount: 2n},
    {kind: 'decrement', amount: 1n},
    {kind: 'transfer', to: US, amount: 1n},
    {kind: 'transfer', to: AP, amount: 2n},
  ],
  tags: [ADD, REMOVE, ADD_OTHER],
  views: [1n, SAFE_MAX],
  'enable-wins flag': ['enable', 'disable'],
  'grow-only set': ['a', 'ab', 'b', ''],
  'last-writer-wins set': [ADD, REMOVE, ADD_OTHER],
  'resettable counter': [{kind: 'add', amount: 3n}, {kind: 'add', amount: -SAFE_MAX}, {kind: 'reset'}],
  'map of flags': [inKey('enable'), inKey('disable'), REMOVED],
  'map of resettable counters': [inKey({kind: 'add', amount: 3n}), inKey({kind: 'reset'}), REMOVED],
  'map of remove-wins sets': [inKey(ADD), inKey(REMOVE), REMOVED],
  'map of remove-wins maps': [inKey(inKey(1n)), inKey(REMOVED), REMOVED],
  'remove-wins map of counters': [inKey(1n), REMOVED, inKey(-1n)],
  'remove-wins map of maps': [inKey(inKey(1)), inKey(REMOVED), REMOVED],
  'remove-wins map of remove-wins maps': [inKey(inKey(ADD)), inKey(REMOVED), REMOVED],
  list: [
    {kind: 'insert', letter: 'a', at: 0},
    {kind: 'insert', letter: 'b', at: 1},
    {kind: 'remove', letter: 'a'},
    {kind: 'move', letter: 'a', to: 1},
  ],
};

/** Those with few operations, and those that refuse most of what comes before there is something. */
const LONGER = new Set(['enable-wins flag', 'list', 'open', 'seats', 'stock', 'views']);

/** Scripts of up to so many events are all tried. */
export const eventsOf = (name: string): number => (LONGER.has(name) ? 5 : 4);

/** A type that has no letters is a mistake of whoever added it. */
export function alphabetOf(name: string): readonly unknown[] {
  const letters = ALPHABETS[name];
  if (!letters) throw new Error(`no operations to try for ${name}: add some to alphabets.ts`);
  return letters;
}
