// JSON values inside registers, in one canonical binary form. What JSON cannot say exactly (NaN, infinities, -0, lone
// surrogates) has no encoding here either. Small numbers, short strings and decimals such as prices take few bytes.
import {DecodeError, EncodeError, type Reader, Writer} from './bytes.ts';
import {compareText} from './dot.ts';
import {utf8Length} from './utf8.ts';

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | {readonly [key: string]: JsonValue};

/** Nesting that readers and writers accept: deeper values overflow stacks elsewhere and make an entity unreadable. */
export const JSON_DEPTH_MAX = 32;

// The first byte: a small number, the length of a short string, or a kind.
const SMALL_NUMBERS = 0x40;
const SHORT_STRING = 0x40;
const SHORT_STRING_BYTES_MAX = 0x3f;
const [NULL, FALSE, TRUE, FLOAT, STRING, ARRAY, OBJECT] = [0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86];
/** Plus the number of bytes of the magnitude, 1 to 7. */
const [INTEGER, NEGATIVE] = [0x87, 0x8f];
/** Plus the number of decimals, 1 to 6; the digits follow as one integer. */
const [DECIMAL, NEGATIVE_DECIMAL] = [0x97, 0x9f];
const DECIMALS_MAX = 6;
/** Above this a float takes no more bytes than its digits would. */
const DIGITS_MAX = 2 ** 48;

export function encodeJson(writer: Writer, value: JsonValue, depth = 0): void {
  if (depth > JSON_DEPTH_MAX) throw new EncodeError(`nested deeper than ${JSON_DEPTH_MAX}`);
  if (typeof value === 'number') return encodeNumber(writer, value);
  if (typeof value === 'string') return encodeString(writer, value);
  if (value === null) return writer.byte(NULL);
  if (typeof value === 'boolean') return writer.byte(value ? TRUE : FALSE);
  if (Array.isArray(value)) {
    writer.byte(ARRAY);
    writer.varint(value.length);
    for (const item of value as readonly JsonValue[]) encodeJson(writer, item, depth + 1);
    return;
  }
  if (typeof value !== 'object') throw new EncodeError(`not a JSON value: ${typeof value}`);
  const entries = Object.entries(value as {readonly [key: string]: JsonValue}).sort(([a], [b]) => compareText(a, b));
  writer.byte(OBJECT);
  writer.varint(entries.length);
  for (const [key, item] of entries) {
    writer.string(key);
    encodeJson(writer, item, depth + 1);
  }
}

function encodeString(writer: Writer, text: string): void {
  const length = utf8Length(text);
  if (length === undefined) throw new EncodeError('string with a lone surrogate');
  if (length <= SHORT_STRING_BYTES_MAX) return writer.text(SHORT_STRING + length, text, length);
  writer.byte(STRING);
  writer.string(text);
}

function encodeNumber(writer: Writer, value: number): void {
  if (!Number.isFinite(value) || Object.is(value, -0)) throw new EncodeError(`number without JSON form: ${value}`);
  if (Number.isSafeInteger(value)) {
    if (value >= 0 && value < SMALL_NUMBERS) return writer.byte(value);
    const magnitude = Math.abs(value);
    const size = bytesOf(magnitude);
    writer.byte((value > 0 ? INTEGER : NEGATIVE) + size);
    for (let rest = magnitude, left = size; left > 0; left--, rest = Math.floor(rest / 0x100))
      writer.byte(rest % 0x100);
    return;
  }
  const decimals = decimalsOf(value);
  if (decimals === 0) {
    writer.byte(FLOAT);
    return writer.float(value);
  }
  writer.byte((value > 0 ? DECIMAL : NEGATIVE_DECIMAL) + decimals);
  writer.varint(Math.round(Math.abs(value) * 10 ** decimals));
}

function bytesOf(magnitude: number): number {
  let size = 1;
  for (let limit = 0x100; magnitude >= limit; limit *= 0x100) size++;
  return size;
}

/** The fewest decimals that say the number exactly; 0 when none of them do. Division is rounded the same on every engine. */
function decimalsOf(value: number): number {
  const magnitude = Math.abs(value);
  for (let decimals = 1, scale = 10; decimals <= DECIMALS_MAX; decimals++, scale *= 10) {
    const digits = Math.round(magnitude * scale);
    if (digits >= DIGITS_MAX) return 0;
    if (digits / scale === magnitude) return decimals;
  }
  return 0;
}

export function decodeJson(reader: Reader, depth = 0): JsonValue {
  if (depth > JSON_DEPTH_MAX) throw new DecodeError(`nested deeper than ${JSON_DEPTH_MAX}`);
  const kind = reader.byte();
  if (kind < SHORT_STRING) return kind;
  if (kind <= SHORT_STRING + SHORT_STRING_BYTES_MAX) return reader.text(kind - SHORT_STRING);
  switch (kind) {
    case NULL:
      return null;
    case FALSE:
      return false;
    case TRUE:
      return true;
    case FLOAT: {
      const value = reader.float();
      if (!Number.isFinite(value) || Number.isSafeInteger(value) || decimalsOf(value) > 0)
        throw new DecodeError('float is not canonical');
      return value;
    }
    case STRING: {
      const length = reader.count();
      if (length <= SHORT_STRING_BYTES_MAX) throw new DecodeError('string is not canonical');
      return reader.text(length);
    }
    case ARRAY:
      return Object.freeze(Array.from({length: reader.count()}, () => decodeJson(reader, depth + 1)));
    case OBJECT:
      return decodeObject(reader, depth);
    default:
      return decodeNumber(reader, kind);
  }
}

function decodeNumber(reader: Reader, kind: number): number {
  if (kind > NEGATIVE_DECIMAL + DECIMALS_MAX) throw new DecodeError('unknown kind of value');
  const base =
    kind > NEGATIVE_DECIMAL ? NEGATIVE_DECIMAL : kind > DECIMAL ? DECIMAL : kind > NEGATIVE ? NEGATIVE : INTEGER;
  const size = kind - base;
  const sign = base === NEGATIVE || base === NEGATIVE_DECIMAL ? -1 : 1;
  if (base === INTEGER || base === NEGATIVE) {
    let magnitude = 0;
    for (let at = 0, scale = 1; at < size; at++, scale *= 0x100) magnitude += reader.byte() * scale;
    const least = sign > 0 ? SMALL_NUMBERS : 1;
    if (size > 7 || !Number.isSafeInteger(magnitude) || magnitude < least || bytesOf(magnitude) !== size)
      throw new DecodeError('number is not canonical');
    return sign * magnitude;
  }
  const digits = reader.varint();
  const magnitude = digits / 10 ** size;
  if (size > DECIMALS_MAX || digits >= DIGITS_MAX || Number.isInteger(magnitude) || decimalsOf(magnitude) !== size)
    throw new DecodeError('number is not canonical');
  return sign * magnitude;
}

function decodeObject(reader: Reader, depth: number): JsonValue {
  // Null-prototype: a key named __proto__ must stay a key.
  const object: Record<string, JsonValue> = Object.create(null) as Record<string, JsonValue>;
  let previous: string | undefined;
  for (let left = reader.count(2); left > 0; left--) {
    const key = reader.string();
    if (previous !== undefined && compareText(previous, key) >= 0) throw new DecodeError('keys are not in order');
    object[key] = decodeJson(reader, depth + 1);
    previous = key;
  }
  return Object.freeze(object);
}

/** A copy that nobody can change, as readers get it from the wire. Throws EncodeError for what JSON cannot say. */
export function frozenJson(value: JsonValue, depth = 0): JsonValue {
  if (depth > JSON_DEPTH_MAX) throw new EncodeError(`nested deeper than ${JSON_DEPTH_MAX}`);
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new EncodeError('string with a lone surrogate');
    return value;
  }
  if (typeof value === 'number') {
    if (!Number.isFinite(value) || Object.is(value, -0)) throw new EncodeError(`number without JSON form: ${value}`);
    return value;
  }
  if (value === null || typeof value === 'boolean') return value;
  if (Array.isArray(value))
    return Object.freeze((value as readonly JsonValue[]).map(item => frozenJson(item, depth + 1)));
  if (typeof value !== 'object') throw new EncodeError(`not a JSON value: ${typeof value}`);
  const copy: Record<string, JsonValue> = Object.create(null) as Record<string, JsonValue>;
  const entries = Object.entries(value as {readonly [key: string]: JsonValue}).sort(([a], [b]) => compareText(a, b));
  for (const [key, item] of entries) {
    if (!key.isWellFormed()) throw new EncodeError('key with a lone surrogate');
    copy[key] = frozenJson(item, depth + 1);
  }
  return Object.freeze(copy);
}

/** Equal as JSON, whatever the order of keys. */
export function sameJson(a: JsonValue, b: JsonValue): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [ours, theirs] = [Object.entries(a), Object.entries(b)];
  const there = b as {readonly [key: string]: JsonValue};
  return ours.length === theirs.length && ours.every(([key, item]) => key in there && sameJson(item, there[key]!));
}
