import fc from 'fast-check';
import {expect, test} from 'vitest';
import {DecodeError, fromHex} from '../../crdt/bytes.ts';
import {decodePart, fieldState} from '../../crdt/document.ts';
import {elements, has, rwSet as type} from '../../crdt/rw-set.ts';
import {convergesOnModel, obeysJoinLaws} from '../support/crdt-properties.ts';
import {joinAll, only, play, readField, scriptOf, type Step} from '../support/crdt-scripts.ts';
import {mapOf, REPLICAS, rwSet} from '../support/subjects.ts';

const [EU, US, AP] = REPLICAS;
const subjects = only(rwSet);
const step = (replica: Step['replica'], hears: Step['hears'], ...commands: readonly string[]): Step => ({
  replica,
  hears,
  time: {ms: 1, logical: 0},
  writes: commands.map(command => {
    const [kind, element] = command.split(' ');
    return {field: 'field', command: {kind, element}};
  }),
});
const stateOf = (script: readonly Step[]) => {
  const run = play(subjects, script);
  return fieldState(joinAll(run.shape, run.documents), 'field', type);
};
const read = (script: readonly Step[]) => elements(stateOf(script));

test('[RW1] an element is in while adds of it stand and no removal, in any delivery', () =>
  convergesOnModel(rwSet, 400));
test('[RW1] [DOC1] join obeys its laws', () => obeysJoinLaws(rwSet, 300));
test('[RW1] a remove-wins set in a map starts anew when its key was removed', () => {
  convergesOnModel(mapOf(rwSet), 300);
  obeysJoinLaws(mapOf(rwSet), 200);
});

test('[RW2] whoever loses access loses it, whatever another region grants at the same time', () => {
  const granted = step(EU, null, 'add ann', 'add bob');
  expect(read([granted, step(US, EU, 'remove bob'), step(EU, null, 'add bob')])).toEqual(['ann']);
  // Also where the grant was not known to whoever revoked.
  expect(read([step(EU, null, 'add bob'), step(US, null, 'remove bob')])).toEqual([]);
  expect(read([step(US, null, 'remove bob'), step(EU, null, 'add bob')])).toEqual([]);
});

test('[RW3] it takes an add that has seen every removal to undo them', () => {
  const revoked = [step(EU, null, 'add bob'), step(US, EU, 'remove bob'), step(AP, EU, 'remove bob')];
  expect(read([...revoked, step(EU, US, 'add bob')])).toEqual([]); // It has not seen the one of the third region.
  expect(read([...revoked, step(EU, US), step(EU, AP, 'add bob')])).toEqual(['bob']);
  expect(read([step(EU, null, 'add bob', 'remove bob', 'add bob')])).toEqual(['bob']);
});

test('[RW4] an element holds at most one write per replica, and a removed one keeps the removal', () => {
  const property = fc.property(scriptOf(subjects), script => {
    for (const [element, writes] of stateOf(script)) {
      expect(writes.length).toBeGreaterThan(0);
      expect(new Set(writes.map(({replica}) => replica)).size).toBe(writes.length);
      expect(has(stateOf(script), element)).toBe(writes.every(({on}) => on));
    }
  });
  fc.assert(property, {numRuns: 200});
  const removed = stateOf([step(EU, null, 'add x'), step(US, EU, 'remove x'), step(US, null, 'remove x')]);
  expect([...removed.values()].map(writes => writes.length)).toEqual([1]);
  expect(elements(removed)).toEqual([]);
});

test('[RW4] what a reader sees is what the set of a map says too', () => {
  const inMap = mapOf(rwSet);
  const at = (kind: string, element: string) => ({
    field: 'field',
    command: {kind: 'update', key: 'k', inner: {kind, element}},
  });
  const time = {ms: 1, logical: 0};
  const run = play(only(inMap), [
    {replica: EU, hears: null, time, writes: [at('add', 'x')]},
    {replica: US, hears: EU, time, writes: [{field: 'field', command: {kind: 'remove', key: 'k'}}]},
    {replica: AP, hears: EU, time, writes: [at('remove', 'x')]},
    {replica: US, hears: null, time, writes: [at('add', 'x')]},
  ]);
  // The removal in the third region stands: nobody who added x after it had seen it.
  expect(readField(only(inMap), joinAll(run.shape, run.documents), 'field')).toEqual([['k', []]]);
});

const REPLICA = 'a0a0a0a0a0a0a0a0';

test.each([
  ['an element without writes', '00 00 01 01 61 04'],
  ['both sides, of adds alone', `01${REPLICA} 03 01 01 61 02 01 01`],
  ['no side', `01${REPLICA} 00 01 01 61 02 01`],
  ['a write that is neither on nor off', `01${REPLICA} 03 01 01 61 14 02 01 02 02 02 01`],
  ['elements out of order', `01${REPLICA} 01 02 01 62 01 61 02 01 02 01`],
  ['more elements than bytes', '00 01 7f'],
])('[RW5] bytes that no remove-wins set has are refused: %s', (_, hex) => {
  expect(() => decodePart(type, fromHex(hex.replaceAll(' ', '')))).toThrow(DecodeError);
});
