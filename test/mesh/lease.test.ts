import {expect, test} from 'vitest';
import type {ReplicaId} from '../../crdt/dot.ts';
import {BLOCK_DOTS_MAX, fence as real, type FenceRecord, type FenceRequest} from '../../mesh/lease.ts';
import {deepFreeze} from '../support/deep-freeze.ts';
import {explore, type Fence} from '../support/fence-model.ts';
import {IDS} from '../support/mesh-arbitraries.ts';

const [EU, US, AP] = IDS;
const record = (session: number, dots: number, more: Partial<FenceRecord> = {}): FenceRecord => ({
  replica: EU,
  session,
  dots,
  retired: false,
  ...more,
});
const open = (session: number, counter: number, replica: ReplicaId = EU): FenceRequest => ({
  type: 'open',
  replica,
  session,
  counter,
  want: 2,
});
const fence: Fence = (before, request) => real(deepFreeze(before), request);
const answer = (before: FenceRecord | undefined, request: FenceRequest) => fence(before, request).answer;

test('[FEN1] a new storage is granted its first dots, and told of the replica that was there before it', () => {
  expect(fence(undefined, open(0, 0))).toEqual({
    record: record(1, 2),
    answer: {type: 'granted', session: 1, dots: 2, previous: undefined},
  });
  expect(answer(record(7, 40), open(0, 0, US))).toEqual({type: 'granted', session: 8, dots: 2, previous: EU});
  expect(answer(record(7, 40, {retired: true}), open(0, 0, US))).toMatchObject({type: 'granted', previous: undefined});
});

test('[FEN2] a storage that was closed with its block used up is granted more at once', () => {
  expect(fence(record(3, 40), open(3, 40))).toMatchObject({record: record(4, 42), answer: {type: 'granted', dots: 42}});
});

test('[FEN3] a storage of an earlier session, or with part of its block unused, is in doubt, as is one whose fence was lost', () => {
  expect(answer(record(3, 40), open(2, 40))).toMatchObject({type: 'doubt'});
  expect(answer(record(3, 40), open(3, 39))).toMatchObject({type: 'doubt'});
  expect(answer(record(1, 2), open(0, 0))).toMatchObject({type: 'doubt'}); // The first answer was lost.
  expect(answer(undefined, open(3, 40))).toMatchObject({type: 'doubt'});
  // It stays so: nothing was remembered of it.
  expect(fence(record(3, 40), open(3, 39)).record).toEqual(record(3, 40));
});

test('[FEN9] what is left of a block can be given back, and then the storage is as it was closed', () => {
  const {record: after} = fence(record(3, 40), {type: 'release', replica: EU, session: 3, counter: 35, dots: 40});
  expect(answer(after, open(3, 35))).toMatchObject({type: 'granted', session: 4, dots: 37});
  expect(answer(after, open(3, 34)).type).toBe('doubt');
});

test('[FEN10] a release that comes late takes back nothing of a block that was leased after it', () => {
  const {record: leased} = fence(record(3, 40), {type: 'more', replica: EU, session: 3, counter: 40, want: 8});
  const late = fence(leased, {type: 'release', replica: EU, session: 3, counter: 35, dots: 40});
  expect(late.record).toEqual(leased);
});

test('[FEN4] whoever is not what the fence knows gets no more dots: another has taken its place, or it has left', () => {
  for (const type of ['more', 'release'] as const) {
    const request: FenceRequest = {type, replica: EU, session: 3, counter: 40, want: 2, dots: 40};
    expect(answer(record(3, 40), request).type).toBe('granted');
    for (const before of [undefined, record(4, 40), record(3, 40, {replica: US}), record(3, 40, {retired: true})])
      expect(fence(before, request)).toEqual({record: before, answer: {type: 'superseded'}});
  }
  expect(answer(record(3, 40, {replica: US}), open(3, 40)).type).toBe('superseded');
  expect(answer(record(3, 40, {retired: true}), open(3, 40)).type).toBe('superseded');
});

test('[FEN5] a new id is granted whatever was there, so that nobody takes one after the other', () => {
  for (const before of [undefined, record(3, 40), record(3, 40, {replica: AP}), record(3, 40, {retired: true})])
    expect(answer(before, {type: 'replace', replica: US, before: EU, want: 2})).toMatchObject({
      type: 'granted',
      dots: 2,
    });
});

test('[FEN6] to ask changes nothing, and a replica that has left was never there; only its own can leave', () => {
  const before = record(3, 40);
  expect(fence(before, {type: 'ask'})).toEqual({record: before, answer: {type: 'told', replica: EU}});
  expect(answer(undefined, {type: 'ask'})).toEqual({type: 'told', replica: undefined});
  expect(fence(before, {type: 'retire', replica: US}).record).toBe(before);
  const {record: after} = fence(before, {type: 'retire', replica: EU});
  expect(answer(after, {type: 'ask'})).toEqual({type: 'told', replica: undefined});
  expect(BLOCK_DOTS_MAX).toBeGreaterThan(0);
});

const DEPTH = 8;

test.each([
  ['a backup is put back', 'backup', false],
  ['a backup is put back, and the fence is lost', 'backup', true],
  ['two copies run at the same time', 'clone', false],
  ['two copies run at the same time, and the fence is lost', 'clone', true],
] as const)('[FEN7] no script mints a dot twice, or keeps a storage from going on: %s', (_, copies, losesFence) => {
  const visit = explore({fence: real, depth: DEPTH, copies, losesFence});
  expect(visit.failure).toBe(undefined);
  expect(visit.states).toBeGreaterThan(10_000);
});

type Planted = readonly [string, Fence];
const PLANTED: readonly Planted[] = [
  [
    'an open block is taken for a closed one',
    (before, request) =>
      before && request.type === 'open' && request.session === before.session && before.replica === request.replica
        ? real({...before, dots: request.counter}, request)
        : real(before, request),
  ],
  [
    'a lost fence trusts whoever comes',
    (before, request) =>
      !before && request.type === 'open' ? real(before, {...request, session: 0, counter: 0}) : real(before, request),
  ],
  [
    'the session is not looked at',
    (before, request) =>
      before && request.type === 'open' && request.session > 0
        ? real(before, {...request, session: before.session})
        : real(before, request),
  ],
  ['who has left comes back', (before, request) => real(before && {...before, retired: false}, request)],
  [
    'a new id is for the one that was here',
    (before, request) =>
      request.type === 'replace' && before && before.replica !== request.before
        ? {record: before, answer: {type: 'superseded'}}
        : real(before, request),
  ],
];

test.each(PLANTED)('[FEN8] a planted bug is found: %s', (_, fence_) => {
  const failures = [false, true].map(
    losesFence => explore({fence: fence_, depth: DEPTH, copies: 'backup', losesFence}).failure,
  );
  expect(failures.some(failure => failure !== undefined)).toBe(true);
});
