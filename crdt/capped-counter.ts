// A bounded counter with an upper bound too: stock, which decrements take and increments make, beside room, which increments
// take and decrements make. Each is a bounded counter that never falls below zero, and what one gains the other loses, in
// the same event. So the value stays between zero and the room that was ever provided, in any schedule.
import {
  boundedCounter,
  type BoundedCounter,
  decrement as take,
  increment as make,
  transfer,
  value as valueOf,
} from './bounded-counter.ts';
import {type CrdtType, growthOf, takeBack, wholePart} from './crdt-type.ts';
import type {ReplicaId} from './dot.ts';
import {type Exact, plus} from './exact.ts';
import {Refusal} from './refusal.ts';

export interface CappedCounter {
  readonly stock: BoundedCounter;
  readonly room: BoundedCounter;
}

const {empty} = boundedCounter;
const EMPTY: CappedCounter = {stock: empty, room: empty};

export const value = ({stock}: CappedCounter): Exact => valueOf(stock);

/** The upper bound: everything that was ever provided. */
export const capacity = ({stock, room}: CappedCounter): Exact => plus(valueOf(stock), valueOf(room));

/** Raises the upper bound by room that `replica` may use. Whoever creates the counter does it, once. */
export const provision = (state: CappedCounter, replica: ReplicaId, amount: Exact): CappedCounter => ({
  stock: empty,
  room: make(state.room, replica, amount),
});

const ROOM_CODES: Readonly<Record<string, string>> = {
  'insufficient-stock': 'insufficient-capacity',
  'rights-exhausted': 'capacity-exhausted',
};

/** Says of room what a bounded counter says of stock. */
function ofRoom<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new Refusal(ROOM_CODES[error.code] ?? error.code, `of room: ${error.message}`, error.facts);
  }
}

/** Refuses with `insufficient-capacity` when nobody known has enough room, with `capacity-exhausted` when others do. */
export function increment({stock, room}: CappedCounter, replica: ReplicaId, amount: Exact): CappedCounter {
  return {stock: make(stock, replica, amount), room: ofRoom(() => take(room, replica, amount))};
}

/** Refuses as a bounded counter does. */
export const decrement = ({stock, room}: CappedCounter, replica: ReplicaId, amount: Exact): CappedCounter => ({
  stock: take(stock, replica, amount),
  room: make(room, replica, amount),
});

/** Moves rights to decrement; the giver must hold them. */
export const transferStock = (
  {stock}: CappedCounter,
  from: ReplicaId,
  to: ReplicaId,
  amount: Exact,
): CappedCounter => ({stock: transfer(stock, from, to, amount), room: empty});

/** Moves rights to increment; the giver must hold them. */
export const transferRoom = ({room}: CappedCounter, from: ReplicaId, to: ReplicaId, amount: Exact): CappedCounter => ({
  stock: empty,
  room: ofRoom(() => transfer(room, from, to, amount)),
});

export const cappedCounter: CrdtType<CappedCounter> = {
  name: 'capped-counter',
  code: 14,
  empty: EMPTY,
  isEmpty: ({stock, room}) => boundedCounter.isEmpty(stock) && boundedCounter.isEmpty(room),
  join(a, inA, b, inB) {
    const stock = boundedCounter.join(a.stock, inA, b.stock, inB);
    const room = boundedCounter.join(a.room, inA, b.room, inB);
    return stock === a.stock && room === a.room ? a : {stock, room};
  },
  encode(encoder, {stock, room}, partial) {
    boundedCounter.encode(encoder, stock, partial);
    boundedCounter.encode(encoder, room, partial);
  },
  decode: (decoder, partial) => ({
    stock: boundedCounter.decode(decoder, partial),
    room: boundedCounter.decode(decoder, partial),
  }),
  project: (state, places) => ({
    stock: boundedCounter.project(state.stock, places.stock),
    room: boundedCounter.project(state.room, places.room),
  }),
  touch(places, more) {
    const stock = boundedCounter.touch(places.stock, more.stock);
    const room = boundedCounter.touch(places.room, more.room);
    return stock === places.stock && room === places.room ? places : {stock, room};
  },
  tags: () => [],
  reset() {
    throw new Error('a capped counter cannot be reset: its rights would be lost'); // entityType() lets none into a map.
  },
  parts(state) {
    return wholePart(this, state);
  },
  *pieces({stock, room}) {
    for (const [tag, piece] of boundedCounter.pieces(stock)) yield [tag, {stock: piece, room: empty}];
    for (const [tag, piece] of boundedCounter.pieces(room)) yield [tag, {stock: empty, room: piece}];
  },
  growth: (before, delta, author) => ({
    stock: growthOf(boundedCounter, before.stock, delta.stock, author),
    room: growthOf(boundedCounter, before.room, delta.room, author),
  }),
  undo(state, {wrote, grown, ...event}) {
    const of = (part: 'stock' | 'room') =>
      takeBack(boundedCounter, state[part], {...event, wrote: wrote[part], grown: grown[part]});
    const [stock, room] = [of('stock'), ofRoom(() => of('room'))];
    return stock || room ? {stock: stock ?? empty, room: room ?? empty} : undefined;
  },
};
