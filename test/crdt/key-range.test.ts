import {expect, test} from 'vitest';
import * as awSet from '../../crdt/aw-set.ts';
import {differingRanges, digestOfRange, digestsOfRanges, rangesOf} from '../../crdt/key-range.ts';
import {Replica} from '../../crdt/replica.ts';
import {REPLICAS} from '../support/subjects.ts';

const [EU] = REPLICAS;
const {awSet: type} = awSet;

function setOf(elements: readonly string[]): awSet.AWSet {
  const replica = new Replica(new Map([['f', type]]), {id: EU, now: () => 1});
  for (const element of elements) replica.edit(draft => draft.write('f', awSet.add(draft.state('f'), draft, element)));
  return replica.document.fields.get('f') as awSet.AWSet;
}

test('[KR3] digests are the same on every build, or regions would send each other all they have', () => {
  const set = setOf(Array.from({length: 40}, (_, index) => `é${index}`));
  expect(digestOfRange(type, type.empty)).toEqual({keys: 0, digest: '0000000000000000'});
  expect(digestOfRange(type, set)).toEqual({keys: 40, digest: '4ed4a7f5e9f42a20'});
  expect(digestOfRange(type, set, {from: 'é1', to: 'é11'})).toEqual({keys: 2, digest: '57306394b559a964'});
  expect(digestOfRange(type, set, {from: 'é39'})).toEqual({keys: 7, digest: '151d14176df76668'});
  expect(digestOfRange(type, set, {to: 'é1'}).keys).toBe(1);
  expect(digestOfRange(type, setOf(['0'])).digest).toMatch(/^[0-9a-f]{16}$/);
});

test('[KR3] the digests of ranges add up to the digest of what they cover', () => {
  const set = setOf(Array.from({length: 300}, (_, index) => `k${index}`));
  const wordsOf = ({digest}: {digest: string}) => BigInt(`0x${digest}`);
  for (const splits of [[], ['k2'], ['a', 'k1', 'k150', 'k7', 'z']]) {
    const parts = rangesOf(splits).map(range => digestOfRange(type, set, range));
    expect(digestsOfRanges(type, set, splits)).toEqual(parts);
    const sum = parts.reduce((total, part) => total + wordsOf(part), 0n);
    expect(BigInt.asUintN(64, sum)).toBe(wordsOf(digestOfRange(type, set)));
    expect(parts.reduce((total, {keys}) => total + keys, 0)).toBe(300);
    for (const {digest} of parts) expect(digest).toMatch(/^[0-9a-f]{16}$/);
  }
});

test('[KR2] ranges lie between their splits, and cover everything once', () => {
  expect(rangesOf([])).toEqual([{}]);
  expect(rangesOf(['b', 'd'])).toEqual([{to: 'b'}, {from: 'b', to: 'd'}, {from: 'd'}]);
});

test('[KR2] a range differs when its digest, its number of keys or its being there does', () => {
  const [one, two] = [
    {keys: 1, digest: 'a'},
    {keys: 1, digest: 'b'},
  ];
  const ranges = rangesOf(['m']);
  expect(differingRanges(['m'], [one, two], [one, two])).toEqual([]);
  expect(differingRanges(['m'], [one, two], [one, one])).toEqual([ranges[1]]);
  expect(differingRanges(['m'], [one, two], [{...one, keys: 2}, two])).toEqual([ranges[0]]);
  expect(differingRanges(['m'], [one], [one, two])).toEqual([ranges[1]]);
  expect(differingRanges(['m'], [one, two], [])).toEqual(ranges);
});
