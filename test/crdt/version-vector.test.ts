import {expect, test} from 'vitest';
import {before, joinVectors, meetVectors, sameVector, type VersionVector} from '../../crdt/version-vector.ts';
import {VersionedMap} from '../../crdt/versioned-map.ts';
import {REPLICAS} from '../support/subjects.ts';

const [EU, US, AP] = REPLICAS;

test('[VV3] meet takes the lesser counter of each replica, and lists none of whom a side has seen nothing', () => {
  const a: VersionVector = new Map([[EU, 3], [US, 1]]); // prettier-ignore
  const b: VersionVector = new Map([[EU, 2], [US, 5], [AP, 4]]); // prettier-ignore
  const both = new Map([[EU, 2], [US, 1]]); // prettier-ignore
  for (const met of [meetVectors(a, b), meetVectors(b, a)]) expect(new Map(met)).toEqual(both);
  expect(new Map(meetVectors(a, a))).toEqual(a);
  expect(meetVectors(a, new Map()).size).toBe(0);
  expect(meetVectors(new Map([[EU, 1]]), new Map([[US, 1]])).size).toBe(0);
});

test('[VV2] a join that brings nothing is the very same vector', () => {
  const a: VersionVector = new Map([[EU, 3], [US, 1]]); // prettier-ignore
  for (const b of [a, new Map(a), new Map([[EU, 2]]), new Map([[US, 1]]), new Map()]) expect(joinVectors(a, b)).toBe(a);
  expect(new Map(joinVectors(a, new Map([[US, 2]])))).toEqual(new Map([[EU, 3], [US, 2]])); // prettier-ignore
});

test('[VV2] two vectors are the same when each covers the other, however many replicas they list', () => {
  const a: VersionVector = new Map([[EU, 3], [US, 1]]); // prettier-ignore
  expect(sameVector(a, new Map(a))).toBe(true);
  for (const b of [
    new Map([
      [EU, 2],
      [US, 1],
    ]),
    new Map([[EU, 3]]),
    new Map([
      [EU, 3],
      [AP, 1],
    ]),
  ])
    // prettier-ignore
    expect([sameVector(a, b), sameVector(b, a)]).toEqual([false, false]);
});

test('[VV1] what was before an event is all but it and what its replica wrote later', () => {
  const vector = VersionedMap.of(new Map([[EU, 3], [US, 1]])); // prettier-ignore
  expect(new Map(before(vector, {replica: EU, counter: 3}))).toEqual(new Map([[EU, 2], [US, 1]])); // prettier-ignore
  expect(new Map(before(vector, {replica: EU, counter: 1}))).toEqual(new Map([[US, 1]]));
  expect(before(vector, {replica: EU, counter: 4})).toBe(vector);
  expect(before(vector, {replica: AP, counter: 1})).toBe(vector);
});

test('[VM1] whoever visits a map sees each entry once, in order, and the map', () => {
  for (const size of [0, 3, 100]) {
    const entries = Array.from({length: size}, (_, key): [number, string] => [key, `v${key}`]);
    const map = VersionedMap.of(new Map(entries));
    const visited: [number, string][] = [];
    map.forEach((value, key, all) => {
      expect(all).toBe(map);
      visited.push([key, value]);
    });
    expect(visited).toEqual(entries);
    expect([[...map.keys()], [...map.values()], [...map.entries()]]).toEqual([
      entries.map(([key]) => key),
      entries.map(([, value]) => value),
      entries,
    ]);
  }
});
