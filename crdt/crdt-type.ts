import type {CausalContext} from './causal-context.ts';
import type {Decoder, Encoder} from './codec.ts';
import type {ReplicaId, Tag} from './dot.ts';
import type {HybridTime} from './hybrid-clock.ts';
import type {JsonValue} from './json-value.ts';

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

export const WHOLE = '';

/** For types that are not kept by key: one part, named by the empty key, unless the state is empty. */
export function wholePart<S>(type: Pick<CrdtType<S>, 'isEmpty'>, state: S): [string, S][] {
  return type.isEmpty(state) ? [] : [[WHOLE, state]];
}
