import fc from 'fast-check';
import {expect, test} from 'vitest';
import {VersionedMap} from '../../crdt/versioned-map.ts';

// Few keys for small maps, many for maps that have a table; `from` picks the version that is changed, old ones included.
const change = fc.record({
  from: fc.nat(),
  keys: fc.uniqueArray(fc.nat(60), {minLength: 1, maxLength: 40}),
  removes: fc.nat(3),
});

test.each([
  ['small', 0],
  ['large', 50],
])('[VM1] every version stays what it was, whichever version is changed or read (%s)', (_, initial) => {
  const property = fc.property(fc.array(change, {maxLength: 30}), fc.array(fc.nat()), (changes, reads) => {
    const first = new Map<number, string>(Array.from({length: initial}, (__, key) => [key, `v${key}`] as const));
    const models = [first];
    const versions = [VersionedMap.of(first)];
    for (const [round, {from, keys, removes}] of changes.entries()) {
      const at = from % versions.length;
      const values = keys.map(key => (key % 4 < removes ? undefined : `${round}:${key}`));
      const model = new Map(models[at]);
      for (const [index, key] of keys.entries())
        if (values[index] === undefined) model.delete(key);
        else model.set(key, values[index]);
      models.push(model);
      const [key, value] = [keys[0]!, values[0]];
      const single = value === undefined ? versions[at]!.without(key) : versions[at]!.with(key, value);
      versions.push(keys.length === 1 ? single : versions[at]!.change(keys, values));
    }
    for (const read of [...reads, ...versions.keys()]) {
      const [version, model] = [versions[read % versions.length]!, models[read % versions.length]!];
      expect(new Map(version)).toEqual(model);
      expect([version.size, version.get(3), version.has(4)]).toEqual([model.size, model.get(3), model.has(4)]);
      expect(new Set(version.values())).toEqual(new Set(model.values()));
    }
  });
  fc.assert(property, {numRuns: 300});
});

test('[VM2] whoever iterates sees one version to the end, whatever is changed meanwhile', () => {
  for (const size of [5, 100]) {
    let map = VersionedMap.of(new Map(Array.from({length: size}, (_, key): [number, number] => [key, 0])));
    const seen: number[] = [];
    for (const [key, value] of map) {
      map = map
        .with(key, 1)
        .with(key + size, 1)
        .without(key - 1);
      seen.push(key, value);
    }
    expect(seen).toEqual(Array.from({length: size}, (_, key) => [key, 0]).flat());
    map.forEach((value, key, all) => expect(all.get(key)).toBe(value));
  }
});

test('[VM3] a version that somebody keeps does not grow with the changes after it', () => {
  const old = VersionedMap.of(new Map(Array.from({length: 100}, (_, key): [number, number] => [key, 0])));
  let newest = old;
  for (let round = 1; round <= 50_000; round++) newest = newest.with(round % 100, round);
  // Were it still tied to the newest one, reading it would undo 50,000 changes, and reading that one would redo them.
  for (let read = 0; read < 2_000; read++) expect([old.get(7), newest.get(7)]).toEqual([0, 49_907]);
}, 10_000);

test('[VM4] what changes nothing is the same map', () => {
  const map = VersionedMap.of(new Map([[1, 'a']]));
  expect([map.without(2), map.change([], []), VersionedMap.of(map)]).toEqual([map, map, map]);
  expect(map.without(2)).toBe(map);
  expect(VersionedMap.ofArrays([], [])).toBe(VersionedMap.empty());
});
