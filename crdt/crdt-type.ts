import type {CausalContext} from './causal-context.ts';
import type {Decoder, Encoder} from './codec.ts';
import type {ReplicaId, Tag} from './dot.ts';
import type {HybridTime} from './hybrid-clock.ts';

/**
 * A CRDT as a state without its causal context, which a whole document shares. A delta is a small state.
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
  join(a: S, seenByA: CausalContext, b: S, seenByB: CausalContext): S;
  encode(encoder: Encoder, state: S): void;
  decode(decoder: Decoder): S;
  /** Every live tag: what a reset of this state removes. */
  tags(state: S): Iterable<Tag>;
  /** The delta, beside those tags, that takes back everything in `state` and nothing concurrent with it. */
  reset(state: S): S;
  /** The state cut by key; the parts join back to it. A part is identical (===) while nothing in it changes. */
  parts(state: S): Iterable<readonly [key: string, part: S]>;
}

/** What a mutator returns: a small state, and the tags that it removes. */
export interface Delta<S> {
  readonly state: S;
  readonly removed: readonly Tag[];
}

/** Who writes, when, and with which name. */
export interface Author {
  readonly replica: ReplicaId;
  readonly time: HybridTime;
  /** A tag that no other write has. */
  tag(): Tag;
}

export const WHOLE = '';

/** For types that are not kept by key: one part, named by the empty key, unless the state is empty. */
export function wholePart<S>(type: Pick<CrdtType<S>, 'isEmpty'>, state: S): [string, S][] {
  return type.isEmpty(state) ? [] : [[WHOLE, state]];
}

/** Map union in which keys on both sides are combined; returns `a` itself when nothing changes. */
export function joinMaps<K, V>(a: ReadonlyMap<K, V>, b: ReadonlyMap<K, V>, both: (a: V, b: V) => V): ReadonlyMap<K, V> {
  let joined: Map<K, V> | undefined;
  for (const [key, theirs] of b) {
    const ours = a.get(key);
    const value = ours === undefined ? theirs : both(ours, theirs);
    if (value !== ours) (joined ??= new Map(a)).set(key, value);
  }
  return joined ?? a;
}
