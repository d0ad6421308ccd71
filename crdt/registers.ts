// Registers hold every value that no write has replaced yet. The multi-value register shows them all; the
// last-writer-wins register shows the one with the greatest stamp. A write replaces what its author saw, so it wins over
// all of that whatever the clocks say; stamps only decide between writes that did not know of each other.
import {survivors} from './causal-context.ts';
import {DecodeError, Reader, Writer} from './bytes.ts';
import type {Decoder, Encoder} from './codec.ts';
import {type Author, type CrdtType, type Delta, wholePart} from './crdt-type.ts';
import {compareTags, sameTag, type Tag} from './dot.ts';
import {compareTimes, type HybridTime} from './hybrid-clock.ts';
import {decodeJson, encodeJson, type JsonValue} from './json-value.ts';

interface Write {
  readonly tag: Tag;
  readonly time: HybridTime;
  /** Canonical JSON encoding: compared, joined and sent without looking inside. */
  readonly bytes: Uint8Array;
}

/** Concurrent writes in order of their tags; at most one per replica that wrote without seeing the others. */
export type Register = readonly Write[];

const EMPTY: Register = [];

/** A delta is the new value. */
export function set(state: Register, author: Author, value: JsonValue): Delta<Register> {
  const writer = new Writer();
  encodeJson(writer, value);
  return {
    state: [{tag: author.tag(), time: author.time, bytes: writer.finish()}],
    removed: state.map(write => write.tag),
  };
}

const valueOf = (write: Write): JsonValue => decodeJson(new Reader(write.bytes));

/** Every concurrent value, in order of their tags; equal ones once. */
export function values(state: Register): readonly JsonValue[] {
  const seen = new Map(state.map(write => [write.bytes.join(), write]));
  return [...seen.values()].map(valueOf);
}

/** The value with the greatest stamp; undefined before the first write. */
export function latest(state: Register): JsonValue | undefined {
  const [first, ...others] = state;
  if (!first) return undefined;
  const wins = (a: Write, b: Write) => (compareTimes(a.time, b.time) || compareTags(a.tag, b.tag)) > 0;
  return valueOf(others.reduce((best, write) => (wins(write, best) ? write : best), first));
}

function encodeRegister(encoder: Encoder, state: Register): void {
  encoder.varint(state.length);
  for (const {tag, time, bytes} of state) {
    encoder.tag(tag);
    encoder.time(time);
    encoder.bytes(bytes);
  }
}

function decodeRegister(decoder: Decoder): Register {
  const state = Array.from({length: decoder.count(4)}, (): Write => {
    const [tag, time, bytes] = [decoder.tag(), decoder.time(), decoder.bytes().slice()];
    const reader = new Reader(bytes);
    decodeJson(reader);
    reader.end();
    return {tag, time, bytes};
  });
  for (let index = 1; index < state.length; index++)
    if (compareTags(state[index - 1]!.tag, state[index]!.tag) >= 0) throw new DecodeError('writes are not in order');
  return state;
}

const register = (name: string, code: number): CrdtType<Register> => ({
  name,
  code,
  empty: EMPTY,
  isEmpty: state => state.length === 0,
  join(a, seenByA, b, seenByB) {
    const tagsOfA = a.map(write => write.tag);
    const tags = survivors(
      tagsOfA,
      seenByA,
      b.map(write => write.tag),
      seenByB,
    );
    if (tags === tagsOfA) return a;
    return tags.map(tag => [...a, ...b].find(write => sameTag(write.tag, tag))!);
  },
  encode: encodeRegister,
  decode: decodeRegister,
  tags: state => state.map(write => write.tag),
  reset: () => EMPTY,
  parts(state) {
    return wholePart(this, state);
  },
});

export const lwwRegister = register('lww-register', 4);
export const mvRegister = register('mv-register', 5);
