import {type CausalContext, partOf, wholeOf} from './causal-context.ts';
import type {Decoder, Encoder} from './codec.ts';
import {type Dot, isOf, type ReplicaId, type Tag} from './dot.ts';
import type {HybridTime} from './hybrid-clock.ts';
import type {JsonValue} from './json-value.ts';
import {EMPTY_VECTOR} from './version-vector.ts';

/**
 * A CRDT as a state without its causal context, which a whole document shares. A delta is a partial state: complete at the
 * places that it lists (keys, cells, the one place of a register), and silent about all others. A listed place that holds
 * nothing says that nothing is left there.
 *
 * Implementations uphold: `join` is commutative, associative and idempotent for states with the contexts they belong to,
 * mutates nothing, and returns its first argument (or parts of it) where nothing changes; equal states encode to equal
 * bytes; `decode` throws DecodeError for every input that `encode` cannot have written.
 */
export interface CrdtType<S = unknown> {
  readonly name: string;
  /** Part of a field's identity on the wire and on disk: never reused, never changed. */
  readonly code: number;
  readonly empty: S;
  isEmpty(state: S): boolean;
  /** `a` is whole, and so is the result; `b` is partial when `inB` is. */
  join(a: S, inA: CausalContext, b: S, inB: CausalContext): S;
  encode(encoder: Encoder, state: S, partial: boolean): void;
  decode(decoder: Decoder, partial: boolean): S;
  /** What `state` holds at the places that `places` lists, as a partial state. */
  project(state: S, places: S): S;
  /** The places of both; what they hold is of no account. Returns `places` itself when it lists them all. */
  touch(places: S, more: S): S;
  /** Every live tag. */
  tags(state: S): Iterable<Tag>;
  /** What remains, beside nothing at all, when everything in `state` is taken back and nothing concurrent with it. */
  reset(state: S): S;
  /** The state cut by key; the parts join back to it. A part is identical (===) while nothing in it changes. */
  parts(state: S): Iterable<readonly [key: string, part: S]>;
  /**
   * Its smallest pieces, as partial states that join back to it: one write each, with the tag of the write, or one cell of
   * something that only grows, without.
   */
  pieces(state: S): Iterable<readonly [tag: Tag | undefined, piece: S]>;
  /** The registers that hold several values, for types that show them all; `path` is below the state itself. */
  conflicts?(state: S): Iterable<Conflict>;
  /** For types that count: by how much the totals of `author` grew from `before` to `delta`, as a partial state of growths. */
  growth?(before: S, delta: S, author: ReplicaId): S;
  /** For types of which more, or less, must be taken back than every write of the event; see `takeBack`. */
  undo?(state: S, event: VoidWrites<S>): S | undefined;
  /** For types that count: whether it comes to anything. */
  counts?(state: S): boolean;
}

/** What one event did to one state, and is to be taken back by its author. */
export interface VoidWrites<S> {
  readonly dot: Dot;
  /** The event's delta. */
  readonly wrote: S;
  /** What `growth` said of it. */
  readonly grown: S;
  /** Under a key, whose removal may have reset some of it already. */
  readonly inMap: boolean;
}

/** A register that holds several values at once. */
export interface Conflict {
  readonly path: readonly string[];
  readonly values: readonly JsonValue[];
}

/** Who writes, when, and with which name. */
export interface Author {
  readonly replica: ReplicaId;
  readonly time: HybridTime;
  /** A tag that no other write has. */
  tag(): Tag;
}

/** Whether the state holds a live write. */
export function hasTags<S>(type: CrdtType<S>, state: S): boolean {
  for (const _tag of type.tags(state)) return true;
  return false;
}

// Pieces hold no context of their own: they were cut from one state, so none can have removed what is in another.
const [NONE, PIECE] = [wholeOf(EMPTY_VECTOR), partOf(EMPTY_VECTOR)];

export const joinPieces = <S>(type: CrdtType<S>, pieces: Iterable<S>): S => {
  let whole = type.empty;
  for (const piece of pieces) whole = type.join(whole, NONE, piece, PIECE);
  return whole;
};

/** Nothing for types that do not count. */
export const growthOf = <S>(type: CrdtType<S>, before: S, delta: S, author: ReplicaId): S =>
  type.growth?.(before, delta, author) ?? type.empty;

/** A delta without the writes of the event that are live still; undefined when nothing is left of it. */
export function takeBack<S>(type: CrdtType<S>, state: S, event: VoidWrites<S>): S | undefined {
  if (type.undo) return type.undo(state, event);
  let places: S | undefined;
  const others: S[] = [];
  for (const [tag, piece] of type.pieces(type.project(state, event.wrote))) {
    if (!tag || !isOf(tag, event.dot)) others.push(piece);
    else places = places === undefined ? piece : type.touch(places, piece);
  }
  return places === undefined ? undefined : type.project(joinPieces(type, others), places);
}

export const WHOLE = '';

/** For types that are not kept by key: one part, named by the empty key, unless the state is empty. */
export function wholePart<S>(type: Pick<CrdtType<S>, 'isEmpty'>, state: S): [string, S][] {
  return type.isEmpty(state) ? [] : [[WHOLE, state]];
}
