// JSON in and out. Out: counters beyond 2^53 as decimal strings. In: only what every replica reads the same way.
import {JSON_DEPTH_MAX} from '../crdt/json-value.ts';
import {Refusal} from '../crdt/refusal.ts';

export const toJson = (value: unknown): string =>
  JSON.stringify(value, (_key, member: unknown) => (typeof member === 'bigint' ? member.toString() : member));

const refuse = (detail: string) => new Refusal('invalid-json', detail);

/**
 * Parses JSON, and refuses what parses but does not travel: numbers that are not finite (1e400) or -0, strings with lone
 * surrogates, keys named __proto__, nesting beyond JSON_DEPTH_MAX. Throws Refusal `invalid-json`.
 */
export function parseJson(text: string): unknown {
  // Before parsing: deep input overflows the stack of whoever walks it later.
  if (depthOf(text) > JSON_DEPTH_MAX) throw refuse(`nested deeper than ${JSON_DEPTH_MAX}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw refuse('the body is not JSON');
  }
  check(value);
  return value;
}

function depthOf(text: string): number {
  let [depth, deepest, inString] = [0, 0, false];
  for (let index = 0; index < text.length; index++) {
    const character = text[index];
    if (inString) {
      if (character === '\\') index++;
      else if (character === '"') inString = false;
    } else if (character === '"') inString = true;
    else if (character === '{' || character === '[') deepest = Math.max(deepest, ++depth);
    else if (character === '}' || character === ']') depth--;
  }
  return deepest;
}

function check(value: unknown): void {
  if (typeof value === 'number' && !Number.isFinite(value)) throw refuse('a number is out of range');
  if (Object.is(value, -0)) throw refuse('-0 is no number of its own');
  if (typeof value === 'string' && !value.isWellFormed()) throw refuse('a string holds a lone surrogate');
  if (typeof value !== 'object' || value === null) return;
  for (const [key, member] of Object.entries(value)) {
    if (key === '__proto__') throw refuse('a key is named __proto__');
    check(key);
    check(member);
  }
}
