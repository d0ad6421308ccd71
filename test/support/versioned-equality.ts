// Maps are equal by what they hold, whether they are plain or versioned: a versioned map shows nothing of itself otherwise,
// and any two of them would be equal.
import {expect} from 'vitest';
import {VersionedMap} from '../../crdt/versioned-map.ts';

expect.addEqualityTesters([
  function (a: unknown, b: unknown): boolean | undefined {
    const [ours, theirs] = [a instanceof VersionedMap, b instanceof VersionedMap];
    if (!ours && !theirs) return undefined;
    if (!(ours || a instanceof Map) || !(theirs || b instanceof Map)) return false;
    return this.equals(new Map(a as Map<unknown, unknown>), new Map(b as Map<unknown, unknown>));
  },
]);
