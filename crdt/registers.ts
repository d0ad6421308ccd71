// Registers hold every value that no write has replaced yet. The multi-value register shows them all; the
// last-writer-wins register shows the one with the greatest stamp. A write replaces what its author saw, so it wins over
// all of that whatever the clocks say; stamps only decide between writes that did not know of each other.
import {survivors} from './causal-context.ts';
import {type Author, type CrdtType, wholePart} from './crdt-type.ts';
import {compareTags, isOf, type Tag} from './dot.ts';
import {compareTimes, type HybridTime} from './hybrid-clock.ts';
import {decodeJson, encodeJson, frozenJson, type JsonValue, sameJson} from './json-value.ts';

export interface Write extends Tag, HybridTime {
  readonly value: JsonValue;
}

/** Concurrent writes in order of their tags; at most one per replica that wrote without seeing the others. */
export type Register = readonly Write[];

const EMPTY: Register = [];

/** The new value, in place of all others. Throws EncodeError for what JSON cannot say. */
export function set(_state: Register, author: Author, value: JsonValue): Register {
  const {replica, counter, index} = author.tag();
  const {ms, logical} = author.time;
  return [{replica, counter, index, ms, logical, value: frozenJson(value)}];
}

/** Every concurrent value, in order of their tags; equal ones once. */
export function values(state: Register): readonly JsonValue[] {
  if (state.length < 2) return state.map(write => write.value);
  const all = state.map(write => write.value);
  return all.filter((value, index) => !all.slice(index + 1).some(other => sameJson(value, other)));
}

const wins = (a: Write, b: Write): boolean => (compareTimes(a, b) || compareTags(a, b)) > 0;

/** The value with the greatest stamp; undefined before the first write. */
export function latest(state: Register): JsonValue | undefined {
  if (state.length < 2) return state[0]?.value;
  return state.reduce((best, write) => (wins(write, best) ? write : best)).value;
}

const register = (name: string, code: number): CrdtType<Register> => ({
  name,
  code,
  empty: EMPTY,
  isEmpty: state => state.length === 0,
  join: survivors,
  encode(encoder, state) {
    encoder.tagged(state, write => {
      encoder.time(write);
      encodeJson(encoder, write.value);
    });
  },
  decode: decoder =>
    decoder.tagged(({replica, counter, index}): Write => {
      const {ms, logical} = decoder.time();
      return {replica, counter, index, ms, logical, value: decodeJson(decoder)};
    }),
  project: state => state,
  touch: places => places,
  tags: state => state,
  reset: () => EMPTY,
  parts(state) {
    return wholePart(this, state);
  },
  *pieces(state) {
    for (const write of state) yield [write, [write]];
  },
});

export const lwwRegister = register('lww-register', 4);
export const mvRegister: CrdtType<Register> = {
  ...register('mv-register', 5),
  // The only one left stays: whatever replaced the others was taken back, or is this.
  undo(state, {dot}) {
    const others = state.filter(write => !isOf(write, dot));
    return others.length === state.length || others.length === 0 ? undefined : others;
  },
  *conflicts(state) {
    const all = values(state);
    if (all.length > 1) yield {path: [], values: all};
  },
};
