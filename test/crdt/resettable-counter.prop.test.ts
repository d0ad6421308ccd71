import {expect, test} from 'vitest';
import {decodePart, encodePart, fieldState} from '../../crdt/document.ts';
import {increment, type PNCounter, reset, resettableCounter as type, value} from '../../crdt/pn-counter.ts';
import {convergesOnModel, obeysJoinLaws} from '../support/crdt-properties.ts';
import {joinAll, only, play, readField, type Step} from '../support/crdt-scripts.ts';
import type {ResettableCommand} from '../support/models.ts';
import {mapOf, removeWinsMapOf, REPLICAS, resettableCounter} from '../support/subjects.ts';

const [EU, US, AP] = REPLICAS;
const subjects = only(resettableCounter);
const step = (replica: Step['replica'], hears: Step['hears'], ...amounts: readonly (bigint | 'reset')[]): Step => ({
  replica,
  hears,
  time: {ms: 1, logical: 0},
  writes: amounts.map(amount => {
    const command: ResettableCommand = amount === 'reset' ? {kind: 'reset'} : {kind: 'add', amount};
    return {field: 'field', command};
  }),
});
const read = (script: readonly Step[]) => {
  const run = play(subjects, script);
  return readField(subjects, joinAll(run.shape, run.documents), 'field');
};

test('[RC1] a resettable counter is what was added less what a reset had seen, in any delivery', () =>
  convergesOnModel(resettableCounter, 400));
test('[RC1] [DOC1] join obeys its laws', () => obeysJoinLaws(resettableCounter, 300));
test.each([
  ['map', mapOf(resettableCounter)],
  ['remove-wins map', removeWinsMapOf(resettableCounter)],
])('[RC1] a resettable counter in a %s', (_, subject) => {
  convergesOnModel(subject, 300);
  obeysJoinLaws(subject, 200);
});

test('[RC2] visitors who come in while the day is closed elsewhere count for the next day', () => {
  const day = [step(EU, null, 5n), step(US, EU, 2n)];
  expect(read([...day, step(EU, null, 'reset')])).toBe(2n); // It had not seen the two.
  expect(read([...day, step(EU, US, 'reset'), step(US, null, 1n)])).toBe(1n);
  expect(read([...day, step(EU, US, 'reset', 3n)])).toBe(3n);
});

test('[RC3] two resets of the same count take it back once', () => {
  const both = [step(EU, null, 5n), step(US, EU, 'reset'), step(AP, EU, 'reset')];
  expect(read(both)).toBe(0n);
  expect(read([...both, step(EU, US, 4n)])).toBe(4n);
});

test('[RC4] a reset of zero is no event, and resets leave no more than the cells', () => {
  const {events} = play(subjects, [
    step(EU, null, 'reset'),
    step(EU, null, 1n),
    step(EU, null, 'reset'),
    step(EU, null, 'reset'),
  ]);
  expect(events.map(event => event !== undefined)).toEqual([false, true, true, false]);
  const state = fieldState<PNCounter>(events[2]!.after, 'field', type);
  expect([state.size, value(state)]).toEqual([1, 0]);
  const again = increment(reset(state), EU, 7);
  expect(decodePart(type, encodePart(type, again))).toEqual(again);
});
