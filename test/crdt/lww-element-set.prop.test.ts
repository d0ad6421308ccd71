import fc from 'fast-check';
import {expect, test} from 'vitest';
import {DecodeError, fromHex} from '../../crdt/bytes.ts';
import {decodePart, fieldState} from '../../crdt/document.ts';
import {elements, has, lwwElementSet as type} from '../../crdt/lww-element-set.ts';
import {convergesOnModel, obeysJoinLaws} from '../support/crdt-properties.ts';
import {joinAll, only, play, scriptOf, type Step} from '../support/crdt-scripts.ts';
import {lwwElementSet, mapOf, REPLICAS} from '../support/subjects.ts';

const [EU, US, AP] = REPLICAS;
const subjects = only(lwwElementSet);
const step = (replica: Step['replica'], hears: Step['hears'], ms: number, ...commands: readonly string[]): Step => ({
  replica,
  hears,
  time: {ms, logical: 0},
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

test('[LES1] an element is in when the latest of its writes that stand is an add, in any delivery', () =>
  convergesOnModel(lwwElementSet, 400));
test('[LES1] [DOC1] join obeys its laws', () => obeysJoinLaws(lwwElementSet, 300));
test('[LES1] a last-writer-wins set in a map starts anew when its key was removed', () => {
  convergesOnModel(mapOf(lwwElementSet), 300);
  obeysJoinLaws(mapOf(lwwElementSet), 200);
});

test('[LES1] of a wish list that two devices change at once, the later change of each item counts', () => {
  const listed = step(EU, null, 1, 'add pen', 'add ink');
  expect(read([listed, step(US, EU, 7, 'remove pen', 'remove ink'), step(EU, null, 5, 'add pen')])).toEqual([]);
  expect(read([listed, step(US, EU, 7, 'remove pen', 'remove ink'), step(EU, null, 9, 'add pen')])).toEqual(['pen']);
});

test('[LES2] a write wins over what its author had seen, even when its clock is behind', () => {
  expect(read([step(EU, null, 1_000, 'add x'), step(US, EU, 5, 'remove x')])).toEqual([]);
  expect(read([step(EU, null, 1_000, 'remove x'), step(US, EU, 5, 'add x')])).toEqual(['x']);
});

test('[LES3] concurrent writes of one millisecond: every replica reads the same', () => {
  const script = [step(EU, null, 7, 'add x'), step(US, null, 7, 'remove x'), step(AP, null, 6, 'add x')];
  const run = play(subjects, script);
  for (const order of [
    [0, 1, 2],
    [2, 1, 0],
  ]) {
    const joined = joinAll(
      run.shape,
      order.map(index => run.documents[index]!),
    );
    expect(elements(fieldState(joined, 'field', type))).toEqual([]);
  }
});

test('[LES4] an element holds at most one write per replica, and a removed one keeps a tombstone', () => {
  const property = fc.property(scriptOf(subjects), script => {
    for (const writes of stateOf(script).values()) {
      expect(writes.length).toBeGreaterThan(0);
      expect(new Set(writes.map(({replica}) => replica)).size).toBe(writes.length);
    }
  });
  fc.assert(property, {numRuns: 200});
  const removed = stateOf([step(EU, null, 1, 'add x'), step(US, EU, 2, 'remove x')]);
  expect([[...removed.keys()], has(removed, 'x')]).toEqual([['x'], false]);
});

const REPLICA = 'a0a0a0a0a0a0a0a0';

test.each([
  ['an element without writes', '00 00 01 01 61 04'],
  ['both sides, of adds alone', `01${REPLICA} 03 01 01 61 02 01 01 05 00`],
  ['no side', `01${REPLICA} 00 01 01 61 02 01 05 00`],
  ['a write without a stamp', `01${REPLICA} 01 01 01 61 02 01`],
])('[LES5] bytes that no last-writer-wins set has are refused: %s', (_, hex) => {
  expect(() => decodePart(type, fromHex(hex.replaceAll(' ', '')))).toThrow(DecodeError);
});
