// JSON values inside registers, in one canonical binary form. What JSON cannot say exactly (NaN, infinities, -0, lone
// surrogates) has no encoding here either.
import {DecodeError, EncodeError, type Reader, type Writer} from './bytes.ts';
import {compareText} from './dot.ts';

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | {readonly [key: string]: JsonValue};

/** Nesting that readers and writers accept: deeper values overflow stacks elsewhere and make an entity unreadable. */
export const JSON_DEPTH_MAX = 32;

const [NULL, FALSE, TRUE, INTEGER, NEGATIVE, FLOAT, STRING, ARRAY, OBJECT] = [0, 1, 2, 3, 4, 5, 6, 7, 8];

export function encodeJson(writer: Writer, value: JsonValue, depth = 0): void {
  if (depth > JSON_DEPTH_MAX) throw new EncodeError(`nested deeper than ${JSON_DEPTH_MAX}`);
  if (value === null) return writer.byte(NULL);
  if (typeof value === 'boolean') return writer.byte(value ? TRUE : FALSE);
  if (typeof value === 'number') return encodeNumber(writer, value);
  if (typeof value === 'string') {
    writer.byte(STRING);
    return writer.string(value);
  }
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

function encodeNumber(writer: Writer, value: number): void {
  if (!Number.isFinite(value) || Object.is(value, -0)) throw new EncodeError(`number without JSON form: ${value}`);
  if (Number.isSafeInteger(value)) {
    writer.byte(value >= 0 ? INTEGER : NEGATIVE);
    return writer.varint(Math.abs(value));
  }
  writer.byte(FLOAT);
  writer.float(value);
}

export function decodeJson(reader: Reader, depth = 0): JsonValue {
  if (depth > JSON_DEPTH_MAX) throw new DecodeError(`nested deeper than ${JSON_DEPTH_MAX}`);
  switch (reader.byte()) {
    case NULL:
      return null;
    case FALSE:
      return false;
    case TRUE:
      return true;
    case INTEGER:
      return reader.varint();
    case NEGATIVE: {
      const magnitude = reader.varint();
      if (magnitude === 0) throw new DecodeError('negative zero');
      return -magnitude;
    }
    case FLOAT: {
      const value = reader.float();
      if (!Number.isFinite(value) || Number.isSafeInteger(value)) throw new DecodeError('float is not canonical');
      return value;
    }
    case STRING:
      return reader.string();
    case ARRAY:
      return Array.from({length: reader.count()}, () => decodeJson(reader, depth + 1));
    case OBJECT:
      return decodeObject(reader, depth);
    default:
      throw new DecodeError('unknown kind of value');
  }
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
  return object;
}
