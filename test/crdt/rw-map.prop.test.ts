import fc from 'fast-check';
import {expect, test} from 'vitest';
import {DecodeError, fromHex} from '../../crdt/bytes.ts';
import {type AnyCrdtType, decodePart, fieldState} from '../../crdt/document.ts';
import {MAP_DEPTH_MAX, orMap} from '../../crdt/or-map.ts';
import {pnCounter as counterType} from '../../crdt/pn-counter.ts';
import {rwMap, type RWMap} from '../../crdt/rw-map.ts';
import {convergesOnModel, obeysJoinLaws} from '../support/crdt-properties.ts';
import {joinAll, only, play, readField, scriptOf, type Step} from '../support/crdt-scripts.ts';
import type {MapCommand} from '../support/models.ts';
import {
  type AnySubject,
  dwFlag,
  lwwElementSet,
  mapOf,
  mvRegister,
  pnCounter,
  removeWinsMapOf,
  REPLICAS,
  rwSet,
  set,
} from '../support/subjects.ts';

const [EU, US, AP] = REPLICAS;
const step = (replica: Step['replica'], hears: Step['hears'], ...commands: readonly MapCommand<unknown>[]): Step => ({
  replica,
  hears,
  time: {ms: 1, logical: 0},
  writes: commands.map(command => ({field: 'field', command})),
});
const update = (inner: unknown, key = 'k'): MapCommand<unknown> => ({kind: 'update', key, inner});
const remove = (key = 'k'): MapCommand<unknown> => ({kind: 'remove', key});
const joined = (subject: AnySubject, script: readonly Step[]) => {
  const run = play(only(subject), script);
  return joinAll(run.shape, run.documents);
};
const read = (subject: AnySubject, script: readonly Step[]) =>
  readField(only(subject), joined(subject, script), 'field');

const counters = removeWinsMapOf(pnCounter);
const SUBJECTS: readonly (readonly [string, AnySubject])[] = [
  ['counters', counters],
  ['registers', removeWinsMapOf(mvRegister)],
  ['sets', removeWinsMapOf(set)],
  ['remove-wins sets', removeWinsMapOf(rwSet)],
  ['flags', removeWinsMapOf(dwFlag)],
];

test.each(SUBJECTS)(
  '[RM1] remove-wins maps of %s: removes stand until an update has seen them, in any delivery',
  (_, subject) => convergesOnModel(subject, 400),
);
test.each(SUBJECTS)('[RM1] [DOC1] remove-wins maps of %s: join obeys its laws', (_, subject) =>
  obeysJoinLaws(subject, 300),
);

test('[RM2] an account that one region closes stays closed, whatever another books on it meanwhile', () => {
  const opened = [step(EU, null, update(5n)), step(US, EU, update(2n))];
  expect(read(counters, [...opened, step(EU, null, remove())])).toEqual([]);
  expect(read(counters, [...opened, step(EU, US, remove()), step(US, null, update(1n))])).toEqual([]);
  expect(read(counters, [step(EU, null, remove()), step(US, null, update(1n))])).toEqual([]); // Never seen, and barred.
});

test('[RM3] the first update that has seen the remove starts from nothing, also of what the remove had not seen', () => {
  const closed = [step(EU, null, update(5n)), step(US, EU, remove()), step(EU, null, update(3n))];
  expect(read(counters, closed)).toEqual([]);
  expect(read(counters, [...closed, step(EU, US, update(1n))])).toEqual([['k', 1n]]);
  // What it has not seen counts beside it, once the bar is gone.
  expect(read(counters, [...closed, step(US, null, update(1n))])).toEqual([['k', 4n]]);
  expect(read(counters, [step(EU, null, update(2n), remove(), update(3n), update(4n))])).toEqual([['k', 7n]]);
});

test('[RM4] a concurrent remove stands beside the one that an update has seen', () => {
  const twice = [step(EU, null, update(5n)), step(US, EU, remove()), step(AP, EU, remove())];
  expect(read(counters, [...twice, step(EU, US, update(1n))])).toEqual([]);
  expect(read(counters, [...twice, step(EU, US), step(EU, AP, update(1n))])).toEqual([['k', 1n]]);
});

const NESTED: readonly (readonly [string, AnySubject])[] = [
  ['a remove-wins map of maps of registers', removeWinsMapOf(mapOf(mvRegister))],
  ['a map of remove-wins maps of counters', mapOf(counters)],
  ['a remove-wins map of remove-wins maps of sets', removeWinsMapOf(removeWinsMapOf(lwwElementSet))],
  ['three maps, one in the other', removeWinsMapOf(mapOf(counters))],
];

test.each(NESTED)('[RM5] maps of both kinds nest: %s', (_, subject) => {
  convergesOnModel(subject, 400);
  obeysJoinLaws(subject, 200);
});

test('[RM6] a key holds at most one tag and one bar per replica, and behind a bar that was put up last, nothing', () => {
  const property = fc.property(scriptOf(only(counters)), script => {
    for (const {tags, value} of fieldState<RWMap<unknown>>(joined(counters, script), 'field', counters.type).values())
      for (const list of [tags, value.bars]) expect(new Set(list.map(({replica}) => replica)).size).toBe(list.length);
  });
  fc.assert(property, {numRuns: 200});
  const labels = removeWinsMapOf(set);
  const add = (element: string) => update({kind: 'add', element});
  const script = [step(EU, null, add('x'), add('y')), step(US, EU, remove()), step(US, null, remove())];
  const [slot] = fieldState<RWMap<ReadonlyMap<string, unknown>>>(joined(labels, script), 'field', labels.type).values();
  expect([slot!.tags.length, slot!.value.bars.length, slot!.value.value.size]).toEqual([0, 1, 0]);
});

/** A simple type with another code. */
const simpleOf = (code: number): AnyCrdtType => ({...counterType, code});

test('[RM7] every nesting of maps has a code of its own', () => {
  const simple = Array.from({length: 64}, (_, code) => simpleOf(code));
  const around = (types: readonly AnyCrdtType[]) => types.flatMap(type => [orMap(type), rwMap(type)]);
  const [once, twice] = [around(simple), around(around(simple))];
  const codes = [...simple, ...once, ...twice, ...around(twice)].map(({code}) => code);
  expect(new Set(codes).size).toBe(codes.length);
  expect([orMap(counterType).code, rwMap(counterType).code]).toEqual([2 * 128 + 64, 2 * 128 + 65]);
});

test.each([
  ['or', orMap],
  ['rw', rwMap],
] as const)('[RM7] MAP_DEPTH_MAX maps nest, and one more is refused when the type is made (%s)', (_, mapType) => {
  for (const code of [1, 63]) {
    let type = simpleOf(code);
    for (let depth = 1; depth <= MAP_DEPTH_MAX; depth++) type = mapType(type);
    expect(Number.isSafeInteger(type.code)).toBe(true);
    expect(() => mapType(type)).toThrow(/maps nest 6 deep at most/);
  }
});

const REPLICA = 'a0a0a0a0a0a0a0a0';

test.each([
  ['a slot with nothing in it', '00 00 01 01 6b 04 00'],
  ['bars out of order', `01${REPLICA} 00 01 01 6b 14 02 02 02 01 00`],
  ['tags that no slot has', `01${REPLICA} 01 01 01 6b 04 02 01 00`],
  ['a whole slot in a whole state', `01${REPLICA} 02 01 01 6b 01 02 01 00`],
  ['no bars at all', '00 00 01 01 6b'],
])('[RM8] bytes that no remove-wins map has are refused: %s', (_, hex) => {
  expect(() => decodePart(rwMap(counterType), fromHex(hex.replaceAll(' ', '')))).toThrow(DecodeError);
});
