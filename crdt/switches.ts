// Writes that say yes or no, kept while no other write at their place has seen them. The flags hold them at one place, the
// sets whose removals are writes too hold them by element; what is read of several that stand is what tells the types apart.
import {DecodeError} from './bytes.ts';
import {survivors} from './causal-context.ts';
import {type Decoder, type Encoder, inOrder} from './codec.ts';
import type {Author, CrdtType} from './crdt-type.ts';
import type {Tag} from './dot.ts';
import {decodeKeyed, encodeKeyed, joinKeyed, keyedParts, projectKeys, touchKeys} from './keyed.ts';
import {VersionedMap} from './versioned-map.ts';

export interface Switch extends Tag {
  readonly on: boolean;
}

/** Concurrent writes in order of their tags; at most one per replica that wrote without seeing the others. */
export type Switches<T extends Switch = Switch> = readonly T[];
/** By element. A removed element keeps the write that removed it. */
export type SwitchSet<T extends Switch = Switch> = ReadonlyMap<string, Switches<T>>;

const NOTHING: readonly never[] = [];
const isNothing = (writes: Switches): boolean => writes.length === 0;

export const anyOn = (writes: Switches): boolean => writes.some(({on}) => on);
export const allOn = (writes: Switches): boolean => writes.length > 0 && writes.every(({on}) => on);

export function switched(author: Author, on: boolean): Switch {
  const {replica, counter, index} = author.tag();
  return {replica, counter, index, on};
}

// What the writes of one encoding say, told once for all of them where they agree.
const [ON, OFF] = [1, 2];
const BOTH = ON | OFF;

export function sidesOf(all: Iterable<Switches>): number {
  let sides = 0;
  for (const writes of all) for (const {on} of writes) sides |= on ? ON : OFF;
  return sides;
}

export function encodeSide(encoder: Encoder, sides: number, {on}: Switch): void {
  if (sides === BOTH) encoder.byte(on ? 1 : 0);
}

/** The caller compares what was read with `sides`: any other number would be a second encoding. */
export function decodeSide(decoder: Decoder, sides: number): boolean {
  if (sides !== BOTH) return sides === ON;
  const side = decoder.byte();
  if (side > 1) throw new DecodeError('neither on nor off');
  return side === 1;
}

export const elementsIn = <T extends Switch>(
  state: SwitchSet<T>,
  isIn: (writes: Switches<T>) => boolean,
): readonly string[] =>
  inOrder(state)
    .filter(([, writes]) => isIn(writes))
    .map(([element]) => element);

/** What a write has beside its tag and its side. */
interface Rest<T extends Switch> {
  encode(encoder: Encoder, write: T): void;
  decode(decoder: Decoder, write: Switch): T;
}

export const switchSet = <T extends Switch>(name: string, code: number, rest: Rest<T>): CrdtType<SwitchSet<T>> => ({
  name,
  code,
  empty: VersionedMap.empty(),
  isEmpty: state => state.size === 0,
  join: (a, inA, b, inB) => joinKeyed<Switches<T>>(a, inA, b, inB, NOTHING, isNothing, survivors),
  encode(encoder, state) {
    const sides = sidesOf(state.values());
    encoder.byte(sides);
    encodeKeyed(encoder, state, writes =>
      encoder.tagged(writes, write => {
        encodeSide(encoder, sides, write);
        rest.encode(encoder, write);
      }),
    );
  },
  decode(decoder, partial) {
    const sides = decoder.byte();
    const state = decodeKeyed(decoder, (): Switches<T> => {
      const writes = decoder.tagged(({replica, counter, index}) =>
        rest.decode(decoder, {replica, counter, index, on: decodeSide(decoder, sides)}),
      );
      if (isNothing(writes) && !partial) throw new DecodeError('an element without writes');
      return writes;
    });
    if (sidesOf(state.values()) !== sides) throw new DecodeError('set is not canonical');
    return state;
  },
  project: (state, places) => projectKeys(state, places, writes => writes ?? NOTHING),
  touch: touchKeys,
  *tags(state) {
    for (const writes of state.values()) yield* writes;
  },
  reset: () => VersionedMap.empty(),
  parts: keyedParts,
  *pieces(state) {
    for (const [element, writes] of state)
      for (const write of writes) yield [write, VersionedMap.single(element, [write])];
  },
});
