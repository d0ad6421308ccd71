// Counters that only ever go up inside: what each replica added and took away, and how much of either a reset has taken
// back. Every number has one writer or grows by observation only, so join is pointwise max, and a reset takes back exactly
// what it had seen: increments concurrent with it survive (Baquero, Almeida, Lerche 2016 describe what goes wrong else).
import {DecodeError} from './bytes.ts';
import {type Decoder, type Encoder, inOrder, readInOrder} from './codec.ts';
import {type CrdtType, type VoidWrites, wholePart} from './crdt-type.ts';
import type {ReplicaId} from './dot.ts';
import {type Exact, larger, minus, plus, sum, ZERO} from './exact.ts';
import {joinMaps, projectKeys, touchKeys} from './keyed.ts';
import {Refusal} from './refusal.ts';
import {VersionedMap} from './versioned-map.ts';

/** One replica's share. `up` and `down` are its own running totals; the bases are what resets have observed of them. */
interface Cell {
  readonly up: Exact;
  readonly down: Exact;
  readonly upBase: Exact;
  readonly downBase: Exact;
}

export type PNCounter = ReadonlyMap<ReplicaId, Cell>;

const EMPTY: PNCounter = VersionedMap.empty();
const NO_CELL: Cell = {up: 0, down: 0, upBase: 0, downBase: 0};

const joinCells = (a: Cell, b: Cell): Cell => {
  if (a.up >= b.up && a.down >= b.down && a.upBase >= b.upBase && a.downBase >= b.downBase) return a;
  return {
    up: larger(a.up, b.up),
    down: larger(a.down, b.down),
    upBase: larger(a.upBase, b.upBase),
    downBase: larger(a.downBase, b.downBase),
  };
};

const cellValue = ({up, down, upBase, downBase}: Cell): Exact => minus(minus(up, upBase), minus(down, downBase));

export const value = (state: PNCounter): Exact => sum([...state.values()].map(cellValue));

/** `amount` may be negative; 0 changes nothing. A delta is one cell. */
export function increment(state: PNCounter, replica: ReplicaId, amount: Exact): PNCounter {
  if (amount == 0) return EMPTY; // 0 or 0n.
  const {up, down, upBase, downBase} = state.get(replica) ?? NO_CELL;
  const grown =
    amount >= 0
      ? {up: plus(up, amount), down, upBase, downBase}
      : {up, down: plus(down, minus(ZERO, amount)), upBase, downBase};
  return VersionedMap.single(replica, grown);
}

// The low bits of a counter's first number: whether it is a single cell, and what its cells have. Above them is the cell's
// replica, or the number of cells.
const [SINGLE, DOWNS, BASES] = [1, 2, 4];
const KINDS = 8;

const kindOf = ({down, upBase, downBase}: Cell): number =>
  (down > 0 ? DOWNS : 0) | (upBase > 0 || downBase > 0 ? BASES : 0);

function encodeCell(encoder: Encoder, {up, down, upBase, downBase}: Cell, kind: number): void {
  encoder.exact(up);
  if (kind & DOWNS) encoder.exact(down);
  if (kind & BASES) encoder.exact(upBase);
  if (kind & BASES && kind & DOWNS) encoder.exact(downBase);
}

function encode(encoder: Encoder, state: PNCounter): void {
  const cells = inOrder(state);
  let kind = cells.length === 1 ? SINGLE : 0;
  for (const [, cell] of cells) kind |= kindOf(cell);
  encoder.varint((kind & SINGLE ? encoder.replicaIndex(cells[0]![0]) : cells.length) * KINDS + kind);
  for (const [replica, cell] of cells) {
    if (!(kind & SINGLE)) encoder.replica(replica);
    encodeCell(encoder, cell, kind);
  }
}

function decodeCell(decoder: Decoder, kind: number): Cell {
  const up = decoder.exact();
  const down = kind & DOWNS ? decoder.exact() : ZERO;
  const upBase = kind & BASES ? decoder.exact() : ZERO;
  const downBase = kind & BASES && kind & DOWNS ? decoder.exact() : ZERO;
  // A base is an observation of its total, so it can never be above it.
  if (upBase > up || downBase > down) throw new DecodeError('a base above its total');
  return {up, down, upBase, downBase};
}

function decode(decoder: Decoder, onlyUp: boolean): PNCounter {
  const first = decoder.varint();
  const kind = first % KINDS;
  const count = Math.floor(first / KINDS);
  if (onlyUp && kind & DOWNS) throw new DecodeError('a grow-only counter fell');
  let used = kind & SINGLE;
  const cell = (): Cell => {
    const read = decodeCell(decoder, kind);
    used |= kindOf(read);
    return read;
  };
  const cells =
    kind & SINGLE
      ? VersionedMap.single(decoder.replicaAt(count), cell())
      : readInOrder(decoder.within(count, 2), () => decoder.replica(), cell);
  if (used !== kind || (count === 1 && !(kind & SINGLE))) throw new DecodeError('counter is not canonical');
  return cells;
}

/** What no reset has taken back of `growth`, which ended at `total`. Bases are prefixes: resets see all up to somewhere. */
function leftOf(growth: Exact, total: Exact, base: Exact): Exact {
  const above = minus(total, base);
  return above <= 0 ? ZERO : above < growth ? above : growth;
}

/** The opposite of what the event counted and no reset has taken back. A grow-only cell has its base raised instead. */
function undo(state: PNCounter, {dot, wrote, grown, inMap}: VoidWrites<PNCounter>, onlyUp: boolean): PNCounter {
  const [growth, totals, cell] = [grown.get(dot.replica), wrote.get(dot.replica), state.get(dot.replica)];
  if (!growth || !totals || !cell) return EMPTY;
  const up = leftOf(growth.up, totals.up, cell.upBase);
  const down = leftOf(growth.down, totals.down, cell.downBase);
  if (!onlyUp) return increment(state, dot.replica, minus(down, up));
  // Outside of maps nothing resets it: what is in the base was put there by other undoings, and none of it was this.
  const raised = plus(cell.upBase, inMap ? up : growth.up);
  return VersionedMap.single(dot.replica, {...cell, upBase: raised > cell.up ? cell.up : raised});
}

const counter = (name: string, code: number, onlyUp: boolean): CrdtType<PNCounter> => ({
  name,
  code,
  empty: EMPTY,
  isEmpty: state => state.size === 0,
  join: (a, _inA, b) => joinMaps(a, b, joinCells),
  encode,
  decode: decoder => decode(decoder, onlyUp),
  project: (state, places) => projectKeys(state, places, cell => cell ?? NO_CELL),
  touch: touchKeys,
  tags: () => [],
  reset: state =>
    VersionedMap.ofArrays(
      [...state.keys()],
      [...state.values()].map(({up, down}) => ({up, down, upBase: up, downBase: down})),
    ),
  parts(state) {
    return wholePart(this, state);
  },
  *pieces(state) {
    for (const [replica, cell] of state) yield [undefined, VersionedMap.single(replica, cell)];
  },
  growth(before, delta, author) {
    const cell = delta.get(author);
    if (!cell) return EMPTY;
    const was = before.get(author) ?? NO_CELL;
    const [up, down] = [minus(cell.up, was.up), minus(cell.down, was.down)];
    return up > 0 || down > 0 ? VersionedMap.single(author, {...NO_CELL, up, down}) : EMPTY;
  },
  undo(state, event) {
    const change = undo(state, event, onlyUp);
    return change.size > 0 ? change : undefined;
  },
  counts: state => value(state) != 0, // 0 or 0n.
});

export const pnCounter = counter('pn-counter', 2, false);
export const gCounter = counter('g-counter', 1, true);
/** A PN-counter whose users may reset it. The wire form is the same, and what a field promises is not. */
export const resettableCounter = counter('resettable-counter', 13, false);

/** Takes back all that its author has seen, and nothing else: a delta is one cell for each replica that ever wrote. */
export const reset = (state: PNCounter): PNCounter => resettableCounter.reset(state);

/** What `retired` counted, as if `heir` had counted it. Both cells say it until that of `retired` is dropped. */
export function inherit(state: PNCounter, heir: ReplicaId, retired: ReplicaId): PNCounter {
  const [own, theirs] = [state.get(heir) ?? NO_CELL, state.get(retired)];
  if (!theirs) return EMPTY;
  return VersionedMap.single(heir, {
    up: plus(own.up, theirs.up),
    down: plus(own.down, theirs.down),
    upBase: plus(own.upBase, theirs.upBase),
    downBase: plus(own.downBase, theirs.downBase),
  });
}

/** The counter without the cells of these replicas; the very same counter when it has none. */
export function withoutCells(state: PNCounter, retired: ReadonlySet<ReplicaId>): PNCounter {
  const dropped = [...state.keys()].filter(replica => retired.has(replica));
  return VersionedMap.of(state).change(
    dropped,
    dropped.map(() => undefined),
  );
}

/** Refuses what would make a grow-only counter fall. */
export function grow(state: PNCounter, replica: ReplicaId, amount: Exact): PNCounter {
  if (amount < 0) throw new Refusal('out-of-range', 'a grow-only counter cannot fall');
  return increment(state, replica, amount);
}
