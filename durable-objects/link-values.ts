// What crosses a link: JSON-like values, and what calls between actors carry beside them (bytes, maps, big integers,
// undefined). One value has one encoding; whatever else arrives is a DecodeError, and whatever else is sent an EncodeError.
import {DecodeError, EncodeError, Reader, Writer} from '../crdt/bytes.ts';

export type LinkValue =
  | undefined
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly LinkValue[]
  | ReadonlyMap<string, LinkValue>
  | {readonly [key: string]: LinkValue};

/** Deeper than JSON_DEPTH_MAX, since an input of that depth travels inside a call. */
export const LINK_DEPTH_MAX = 40;
/** Values in one message, containers included: what a small message may make its reader allocate. */
export const LINK_NODES_MAX = 100_000;

const UNDEFINED = 0;
const NULL = 1;
const FALSE = 2;
const TRUE = 3;
const NATURAL = 4;
const NEGATIVE = 5;
const FLOAT = 6;
const STRING = 7;
const BYTES = 8;
const ARRAY = 9;
const OBJECT = 10;
const MAP = 11;
const BIG_NATURAL = 12;
const BIG_NEGATIVE = 13;

export function encodeLinkValue(value: unknown): Uint8Array {
  const writer = new Writer();
  let nodes = 0;

  function container(tag: number, count: number, depth: number): void {
    if (depth >= LINK_DEPTH_MAX) throw new EncodeError(`nested deeper than ${LINK_DEPTH_MAX}`);
    writer.byte(tag);
    writer.varint(count);
  }

  function entries(list: readonly (readonly [string, unknown])[], depth: number): void {
    for (const [key, member] of list) {
      writer.string(key);
      write(member, depth + 1);
    }
  }

  function write(one: unknown, depth: number): void {
    if (++nodes > LINK_NODES_MAX) throw new EncodeError(`more than ${LINK_NODES_MAX} values`);
    if (one === undefined) writer.byte(UNDEFINED);
    else if (one === null) writer.byte(NULL);
    else if (typeof one === 'boolean') writer.byte(one ? TRUE : FALSE);
    else if (typeof one === 'number') writeNumber(writer, one);
    else if (typeof one === 'bigint') {
      writer.byte(one < 0n ? BIG_NEGATIVE : BIG_NATURAL);
      writer.exact(one < 0n ? -1n - one : one);
    } else if (typeof one === 'string') {
      writer.byte(STRING);
      writer.string(one);
    } else if (one instanceof Uint8Array) {
      writer.byte(BYTES);
      writer.bytes(one);
    } else if (Array.isArray(one)) {
      container(ARRAY, one.length, depth);
      for (const member of one as readonly unknown[]) write(member, depth + 1);
    } else if (one instanceof Map) {
      container(MAP, one.size, depth);
      entries([...one].map(demandTextKey), depth);
    } else if (isPlain(one)) {
      const members = Object.entries(one);
      if (Object.hasOwn(one, '__proto__')) throw new EncodeError('a key is named __proto__');
      container(OBJECT, members.length, depth);
      entries(members, depth);
    } else throw new EncodeError(`a ${typeof one} does not cross a link`);
  }

  write(value, 0);
  return writer.finish();
}

function writeNumber(writer: Writer, value: number): void {
  if (!Number.isFinite(value)) throw new EncodeError(`${value} does not cross a link`);
  if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
    writer.byte(FLOAT);
    return writer.float(value);
  }
  writer.byte(value < 0 ? NEGATIVE : NATURAL);
  writer.varint(value < 0 ? -1 - value : value);
}

function demandTextKey([key, member]: readonly [unknown, unknown]): readonly [string, unknown] {
  if (typeof key !== 'string') throw new EncodeError('keys of maps are texts');
  return [key, member];
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** Throws DecodeError, whatever the bytes. What it returns does not hold on to them. */
export function decodeLinkValue(bytes: Uint8Array): LinkValue {
  const reader = new Reader(bytes);
  let nodes = 0;

  /** Counts are checked against what is left before anything is allocated. */
  function countOf(bytesEach: number, depth: number): number {
    if (depth >= LINK_DEPTH_MAX) throw new DecodeError(`nested deeper than ${LINK_DEPTH_MAX}`);
    return reader.count(bytesEach);
  }

  function read(depth: number): LinkValue {
    if (++nodes > LINK_NODES_MAX) throw new DecodeError(`more than ${LINK_NODES_MAX} values`);
    const tag = reader.byte();
    switch (tag) {
      case UNDEFINED:
        return undefined;
      case NULL:
        return null;
      case FALSE:
      case TRUE:
        return tag === TRUE;
      case NATURAL:
        return reader.varint();
      case NEGATIVE:
        return negative(reader.varint());
      case FLOAT:
        return readFloat(reader);
      case STRING:
        return reader.string();
      case BYTES:
        return reader.bytes().slice();
      case ARRAY:
        return Array.from({length: countOf(1, depth)}, () => read(depth + 1));
      case MAP:
        return mapOf(countOf(2, depth), depth);
      case OBJECT:
        return Object.fromEntries(mapOf(countOf(2, depth), depth));
      case BIG_NATURAL:
        return BigInt(reader.exact());
      case BIG_NEGATIVE:
        return -1n - BigInt(reader.exact());
      default:
        throw new DecodeError(`unknown tag ${tag}`);
    }
  }

  function mapOf(count: number, depth: number): Map<string, LinkValue> {
    const map = new Map<string, LinkValue>();
    for (let index = 0; index < count; index++) {
      const key = reader.string();
      if (key === '__proto__') throw new DecodeError('a key is named __proto__');
      if (map.has(key)) throw new DecodeError('a key comes twice');
      map.set(key, read(depth + 1));
    }
    return map;
  }

  const value = read(0);
  reader.end();
  return value;
}

function negative(rest: number): number {
  if (rest === Number.MAX_SAFE_INTEGER) throw new DecodeError('number too small');
  return -1 - rest;
}

/** What is a whole number has the other encoding; what is no number at all has none. */
function readFloat(reader: Reader): number {
  const value = reader.float();
  if (!Number.isFinite(value) || (Number.isSafeInteger(value) && !Object.is(value, -0)))
    throw new DecodeError('not an encoding of this number');
  return value;
}
