import {expect, test} from 'vitest';
import {DecodeError, fromHex} from '../../crdt/bytes.ts';
import {wholeOf} from '../../crdt/causal-context.ts';
import {decodePart, encodePart} from '../../crdt/document.ts';
import {add, elements, gSet as type} from '../../crdt/g-set.ts';
import {EMPTY_VECTOR} from '../../crdt/version-vector.ts';
import {convergesOnModel, obeysJoinLaws} from '../support/crdt-properties.ts';
import {joinAll, only, play, readField} from '../support/crdt-scripts.ts';
import {gSet, REPLICAS} from '../support/subjects.ts';

const [EU, US] = REPLICAS;
const ANY = wholeOf(EMPTY_VECTOR); // It only grows, whatever either side has seen.

test('[GS1] a grow-only set holds everything that was ever added, in any delivery', () => convergesOnModel(gSet, 400));
test('[GS1] [DOC1] join obeys its laws', () => obeysJoinLaws(gSet, 300));

test('[GS1] coupons that were redeemed in two regions at once are both redeemed', () => {
  const time = {ms: 1, logical: 0};
  const redeem = (command: string) => [{field: 'field', command}];
  const run = play(only(gSet), [
    {replica: EU, hears: null, time, writes: redeem('SPRING')},
    {replica: US, hears: null, time, writes: redeem('SPRING')},
    {replica: US, hears: null, time, writes: redeem('SUMMER')},
  ]);
  expect(readField(only(gSet), joinAll(run.shape, run.documents), 'field')).toEqual(['SPRING', 'SUMMER']);
});

test('[GS2] adding what is there changes nothing, and no set holds more than its elements', () => {
  const state = add(type.empty, 'a');
  expect(type.isEmpty(add(state, 'a'))).toBe(true);
  expect(type.join(state, ANY, add(type.empty, 'a'), ANY)).toBe(state); // Another region added it too.
  expect(encodePart(type, add(type.empty, 'a')).length).toBe(4); // No replica, one key, its length, its text.
});

test('[GS3] a grow-only set cannot be reset', () => {
  expect(() => type.reset(type.empty)).toThrow(/cannot be reset/);
});

test('[GS4] the empty text is an element like any other', () => {
  const state = add(type.empty, '');
  expect(elements(decodePart(type, encodePart(type, state)) as typeof state)).toEqual(['']);
});

test.each([
  ['more elements than bytes', '00 05 01 61'],
  ['an element twice', '00 02 01 61 10'],
  ['elements out of order', '00 02 01 62 01 61'],
  ['an element that shares less than it could', '00 02 01 61 02 61 62'],
  ['bytes left over', '00 01 01 61 00'],
])('[GS5] bytes that no grow-only set has are refused: %s', (_, hex) => {
  expect(() => decodePart(type, fromHex(hex.replaceAll(' ', '')))).toThrow(DecodeError);
});
