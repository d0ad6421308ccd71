import fc from 'fast-check';
import {expect, test} from 'vitest';
import {fieldState} from '../../crdt/document.ts';
import type {ORMap} from '../../crdt/or-map.ts';
import {joinAll, only, play, readField, scriptOf, type Step} from '../support/crdt-scripts.ts';
import {convergesOnModel, obeysJoinLaws} from '../support/crdt-properties.ts';
import type {MapCommand} from '../support/models.ts';
import {type AnySubject, mapOf, mapOfCounters, mapOfRegisters, mapOfSets, REPLICAS} from '../support/subjects.ts';

const [EU, US] = REPLICAS;
const step = (replica: Step['replica'], hears: Step['hears'], ...commands: readonly MapCommand<unknown>[]): Step => ({
  replica,
  hears,
  time: {ms: 1, logical: 0},
  writes: commands.map(command => ({field: 'field', command})),
});
const update = (inner: unknown, key = 'k'): MapCommand<unknown> => ({kind: 'update', key, inner});
const remove = (key = 'k'): MapCommand<unknown> => ({kind: 'remove', key});
const read = (subject: AnySubject, script: readonly Step[]) => {
  const run = play(only(subject), script);
  return readField(only(subject), joinAll(run.shape, run.documents), 'field');
};

const SUBJECTS: readonly (readonly [string, AnySubject])[] = [
  ['counters', mapOfCounters],
  ['registers', mapOfRegisters],
  ['sets', mapOfSets],
];

test.each(SUBJECTS)(
  '[OM1] maps of %s: a key and its value are what no remove had seen, in any delivery',
  (_, subject) => convergesOnModel(subject, 2000),
);
test.each(SUBJECTS)('[OM1] [DOC1] maps of %s: join obeys its laws', (_, subject) => obeysJoinLaws(subject, 1500));

test('[OM2] a remove takes back what it had seen inside the value: a concurrent increment survives, and only that', () => {
  const before = [step(EU, null, update(5n)), step(US, EU, update(2n))];
  expect(read(mapOfCounters, [...before, step(EU, null, remove())])).toEqual([['k', 2n]]);
  expect(read(mapOfCounters, [...before, step(EU, US, remove())])).toEqual([]);
  expect(read(mapOfCounters, [...before, step(EU, US, remove()), step(EU, null, update(1n))])).toEqual([['k', 1n]]);
});

test('[OM3] any update keeps the key alive, even one that leaves its value empty', () => {
  const emptied = update({kind: 'remove', element: 'x'});
  const script = [step(EU, null, update({kind: 'add', element: 'x'})), step(US, EU, emptied), step(EU, null, remove())];
  expect(read(mapOfSets, script)).toEqual([['k', []]]);
});

test('[OM4] keys written in one event are removed one by one, and a key can be removed in the event that made it', () => {
  const together = step(EU, null, update(1n, 'j'), update(2n, 'k'));
  expect(read(mapOfCounters, [together, step(US, EU, remove('j'))])).toEqual([['k', 2n]]);
  expect(read(mapOfCounters, [step(EU, null, update(1n, 'j'), update(2n, 'k'), remove('k'))])).toEqual([['j', 1n]]);
  expect(read(mapOfCounters, [step(EU, null, update(2n), remove(), update(3n))])).toEqual([['k', 3n]]);
});

test('[OM5] maps nest', () => {
  const nested = mapOf(mapOfCounters);
  convergesOnModel(nested, 400);
  obeysJoinLaws(nested, 300);
});

test('[OM6] a key holds at most one tag per replica, and a removed key none', () => {
  const subjects = only(mapOfCounters);
  const property = fc.property(scriptOf(subjects), script => {
    const run = play(subjects, script);
    const state = fieldState<ORMap<unknown>>(joinAll(run.shape, run.documents), 'field', mapOfCounters.type);
    const live = (readField(subjects, joinAll(run.shape, run.documents), 'field') as [string, bigint][]).map(
      ([key]) => key,
    );
    for (const [key, {tags}] of state) {
      expect(new Set(tags.map(tag => tag.replica)).size).toBe(tags.length); // Or repeated updates would pile up.
      expect(tags.length > 0).toBe(live.includes(key));
    }
  });
  fc.assert(property, {numRuns: 200});
});
