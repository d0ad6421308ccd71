// Counters that only ever go up inside: what each replica added and took away, and how much of either a reset has taken
// back. Every number has one writer or grows by observation only, so join is pointwise max, and a reset takes back exactly
// what it had seen: increments concurrent with it survive (Baquero, Almeida, Lerche 2016 describe what goes wrong else).
import {DecodeError} from './bytes.ts';
import {type Decoder, type Encoder, inOrder, readInOrder} from './codec.ts';
import {type CrdtType, type Delta, joinMaps, wholePart} from './crdt-type.ts';
import type {ReplicaId} from './dot.ts';
import {type Exact, larger, minus, plus, sum, ZERO} from './exact.ts';
import {Refusal} from './refusal.ts';

/** One replica's share. `up` and `down` are its own running totals; the bases are what resets have observed of them. */
interface Cell {
  readonly up: Exact;
  readonly down: Exact;
  readonly upBase: Exact;
  readonly downBase: Exact;
}

export type PNCounter = ReadonlyMap<ReplicaId, Cell>;

const EMPTY: PNCounter = new Map();
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
export function increment(state: PNCounter, replica: ReplicaId, amount: Exact): Delta<PNCounter> {
  if (amount == 0) return {state: EMPTY, removed: []}; // 0 or 0n.
  const cell = state.get(replica) ?? NO_CELL;
  const grown =
    amount >= 0 ? {...cell, up: plus(cell.up, amount)} : {...cell, down: plus(cell.down, minus(ZERO, amount))};
  return {state: new Map([[replica, grown]]), removed: []};
}

function encodeCell(encoder: Encoder, cell: Cell): void {
  const resets = cell.upBase > 0 || cell.downBase > 0;
  encoder.byte((cell.down > 0 ? 1 : 0) | (resets ? 2 : 0));
  encoder.exact(cell.up);
  if (cell.down > 0) encoder.exact(cell.down);
  if (resets) {
    encoder.exact(cell.upBase);
    encoder.exact(cell.downBase);
  }
}

function decodeCell(decoder: Decoder): Cell {
  const shape = decoder.byte();
  if (shape > 3) throw new DecodeError('unknown shape of a counter cell');
  const up = decoder.exact();
  const down = shape & 1 ? decoder.exact() : ZERO;
  const [upBase, downBase] = shape & 2 ? [decoder.exact(), decoder.exact()] : [ZERO, ZERO];
  const canonical = (shape & 1) === (down > 0 ? 1 : 0) && (shape & 2) === (upBase > 0 || downBase > 0 ? 2 : 0);
  // A base is an observation of its total, so it can never be above it.
  if (!canonical || upBase > up || downBase > down) throw new DecodeError('counter cell is not canonical');
  return {up, down, upBase, downBase};
}

const counter = (name: string, code: number, onlyUp: boolean): CrdtType<PNCounter> => ({
  name,
  code,
  empty: EMPTY,
  isEmpty: state => state.size === 0,
  join: (a, _seenByA, b) => joinMaps(a, b, joinCells),
  encode(encoder, state) {
    encoder.varint(state.size);
    for (const [replica, cell] of inOrder(state)) {
      encoder.replica(replica);
      encodeCell(encoder, cell);
    }
  },
  decode(decoder) {
    const state = readInOrder(
      decoder,
      3,
      () => decoder.replica(),
      () => decodeCell(decoder),
    );
    if (onlyUp && [...state.values()].some(cell => cell.down > 0)) throw new DecodeError('a grow-only counter fell');
    return state;
  },
  tags: () => [],
  reset: state =>
    new Map([...state].map(([replica, cell]) => [replica, {...cell, upBase: cell.up, downBase: cell.down}])),
  parts(state) {
    return wholePart(this, state);
  },
});

export const pnCounter = counter('pn-counter', 2, false);
export const gCounter = counter('g-counter', 1, true);

/** Refuses what would make a grow-only counter fall. */
export function grow(state: PNCounter, replica: ReplicaId, amount: Exact): Delta<PNCounter> {
  if (amount < 0) throw new Refusal('out-of-range', 'a grow-only counter cannot fall');
  return increment(state, replica, amount);
}
