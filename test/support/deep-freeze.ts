// Freezes a value all the way down, so that a join that tidies its arguments throws instead of changing them.

import {VersionedMap} from '../../crdt/versioned-map.ts';

const frozen = new WeakSet<object>();

const refuse = (): never => {
  throw new Error('a frozen map was mutated');
};

export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || frozen.has(value)) return value;
  frozen.add(value);
  if (ArrayBuffer.isView(value)) return value; // Engines refuse to freeze bytes; tests compare encodings instead.
  // A versioned map shows no way in from outside; what it holds is frozen like everything else.
  if (value instanceof VersionedMap) for (const [, item] of value) deepFreeze(item);
  else if (value instanceof Map) {
    for (const [key, item] of value) {
      deepFreeze(key);
      deepFreeze(item);
    }
    // Object.freeze does not reach what a Map holds.
    Object.assign(value, {set: refuse, delete: refuse, clear: refuse});
  } else for (const item of Object.values(value)) deepFreeze(item);
  return Object.freeze(value);
}
