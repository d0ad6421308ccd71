// A counter that never falls below zero, in any schedule, without coordination (Balegas et al. 2015, arXiv 1503.09052).
// To decrement takes a right; an increment makes rights for the replica that does it; rights move by transfer. Every cell
// has one writer and only grows, so join is pointwise max and a repeated transfer is harmless.
import {DecodeError} from './bytes.ts';
import {inOrder, readInOrder} from './codec.ts';
import {type CrdtType, type VoidWrites, wholePart} from './crdt-type.ts';
import type {ReplicaId} from './dot.ts';
import {type Exact, larger, minus, plus, sum, ZERO} from './exact.ts';
import {joinMaps} from './keyed.ts';
import {Refusal} from './refusal.ts';
import {VersionedMap} from './versioned-map.ts';

/** What one replica has written: rights it made (`given` to itself) or passed on, and rights it has used up. */
interface Row {
  readonly given: ReadonlyMap<ReplicaId, Exact>;
  readonly used: Exact;
}

export type BoundedCounter = ReadonlyMap<ReplicaId, Row>;

const EMPTY: BoundedCounter = VersionedMap.empty();
const NO_ROW: Row = {given: VersionedMap.empty(), used: ZERO};

function joinRows(a: Row, b: Row): Row {
  const given = joinMaps(a.given, b.given, larger);
  const used = larger(a.used, b.used);
  return given === a.given && used === a.used ? a : {given, used};
}

/** What `replica` may still take: made plus received, less passed on and used. */
export function rightsOf(state: BoundedCounter, replica: ReplicaId): Exact {
  const own = state.get(replica) ?? NO_ROW;
  let rights = minus(ZERO, own.used);
  for (const [giver, row] of state) {
    const toReplica = row.given.get(replica);
    if (toReplica !== undefined) rights = plus(rights, toReplica);
    if (giver !== replica) continue;
    for (const [receiver, amount] of row.given) if (receiver !== replica) rights = minus(rights, amount);
  }
  return rights;
}

export function rights(state: BoundedCounter): ReadonlyMap<ReplicaId, Exact> {
  const holders = new Set([...state.keys(), ...[...state.values()].flatMap(row => [...row.given.keys()])]);
  return new Map([...holders].sort().map(holder => [holder, rightsOf(state, holder)]));
}

/** The sum of all rights: made less used. */
export const value = (state: BoundedCounter): Exact =>
  sum([...state].map(([maker, row]) => minus(row.given.get(maker) ?? ZERO, row.used)));

/** A delta holds only the cells that changed. */
const delta = (replica: ReplicaId, row: Row): BoundedCounter => VersionedMap.single(replica, row);

export function increment(state: BoundedCounter, replica: ReplicaId, amount: Exact): BoundedCounter {
  if (amount < 0) throw new Refusal('out-of-range', 'an increment is not negative');
  if (BigInt(amount) === 0n) return EMPTY;
  return transferUnchecked(state, replica, replica, amount);
}

/** Refuses with `insufficient-stock` when nobody known holds enough, with `rights-exhausted` when others do. */
export function decrement(state: BoundedCounter, replica: ReplicaId, amount: Exact): BoundedCounter {
  if (amount < 0) throw new Refusal('out-of-range', 'a decrement is not negative');
  if (BigInt(amount) === 0n) return EMPTY;
  const available = rightsOf(state, replica);
  if (amount > available) {
    const total = value(state);
    const facts = {asked: amount, here: available, known: total};
    if (amount > total)
      throw new Refusal('insufficient-stock', `asked for ${amount}, and ${total} is all there is`, facts);
    throw new Refusal('rights-exhausted', `asked for ${amount}, but only ${available} may be taken here`, facts);
  }
  return delta(replica, {given: NO_ROW.given, used: plus((state.get(replica) ?? NO_ROW).used, amount)});
}

/** Moves rights; the giver must hold them. */
export function transfer(state: BoundedCounter, from: ReplicaId, to: ReplicaId, amount: Exact): BoundedCounter {
  if (from === to || amount <= 0 || amount > rightsOf(state, from))
    throw new Refusal('rights-exhausted', `cannot pass on ${amount}`, {here: rightsOf(state, from)});
  return transferUnchecked(state, from, to, amount);
}

function transferUnchecked(state: BoundedCounter, from: ReplicaId, to: ReplicaId, amount: Exact): BoundedCounter {
  const before = state.get(from)?.given.get(to) ?? ZERO;
  return delta(from, {given: VersionedMap.single(to, plus(before, amount)), used: ZERO});
}

/** Rights made and used. Those passed on are still somewhere, so they need no taking back. */
function growth(before: BoundedCounter, after: BoundedCounter, author: ReplicaId): BoundedCounter {
  const [was, is] = [before.get(author) ?? NO_ROW, after.get(author) ?? NO_ROW];
  // A delta says nothing, or zero, of what it does not touch.
  const grown = (now: Exact = ZERO, then: Exact = ZERO): Exact => (now > then ? minus(now, then) : ZERO);
  const [made, used] = [grown(is.given.get(author), was.given.get(author)), grown(is.used, was.used)];
  if (made <= 0 && used <= 0) return EMPTY;
  return delta(author, {given: made > 0 ? VersionedMap.single(author, made) : NO_ROW.given, used});
}

/** Gives rights that were used back, and takes those that were made away: refused as any decrement is. */
function undo(state: BoundedCounter, {dot, grown}: VoidWrites<BoundedCounter>): BoundedCounter | undefined {
  const {given, used} = grown.get(dot.replica) ?? NO_ROW;
  const net = minus(given.get(dot.replica) ?? ZERO, used);
  if (net > 0) return decrement(state, dot.replica, net);
  return net < 0 ? increment(state, dot.replica, minus(ZERO, net)) : undefined;
}

export const boundedCounter: CrdtType<BoundedCounter> = {
  name: 'bounded-counter',
  code: 3,
  empty: EMPTY,
  isEmpty: state => state.size === 0,
  join: (a, _inA, b) => joinMaps(a, b, joinRows),
  encode(encoder, state) {
    encoder.varint(state.size);
    for (const [replica, row] of inOrder(state)) {
      encoder.replica(replica);
      encoder.exact(row.used);
      encoder.varint(row.given.size);
      for (const [receiver, amount] of inOrder(row.given)) {
        encoder.replica(receiver);
        encoder.exact(amount);
      }
    }
  },
  decode(decoder) {
    return readInOrder(
      decoder.count(3),
      () => decoder.replica(),
      () => {
        const used = decoder.exact();
        const given = readInOrder(
          decoder.count(2),
          () => decoder.replica(),
          () => decoder.exact(),
        );
        if (used === 0 && given.size === 0) throw new DecodeError('a row without cells');
        return {given, used};
      },
    );
  },
  project(state, places) {
    const rows = [...places].map(([replica, place]): Row => {
      const {given, used} = state.get(replica) ?? NO_ROW;
      const receivers = [...place.given.keys()];
      const amounts = receivers.map(receiver => given.get(receiver) ?? ZERO);
      return {given: VersionedMap.ofArrays(receivers, amounts), used: place.used === 0 ? ZERO : used};
    });
    return VersionedMap.ofArrays([...places.keys()], rows);
  },
  touch: (places, more) => joinMaps(places, more, joinRows),
  tags: () => [],
  reset() {
    throw new Error('a bounded counter cannot be reset: its rights would be lost'); // entityType() lets none into a map.
  },
  parts(state) {
    return wholePart(this, state);
  },
  *pieces(state) {
    for (const [replica, {given, used}] of state) {
      if (used > 0) yield [undefined, delta(replica, {given: NO_ROW.given, used})];
      for (const [receiver, amount] of given)
        yield [undefined, delta(replica, {given: VersionedMap.single(receiver, amount), used: ZERO})];
    }
  },
  growth,
  undo,
};
