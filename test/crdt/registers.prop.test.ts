import fc from 'fast-check';
import {expect, test} from 'vitest';
import {fieldState} from '../../crdt/document.ts';
import type {JsonValue} from '../../crdt/json-value.ts';
import {latest, lwwRegister as lwwType, mvRegister as mvType, values} from '../../crdt/registers.ts';
import {convergesOnModel, obeysJoinLaws} from '../support/crdt-properties.ts';
import {joinAll, only, play, scriptOf, type Step} from '../support/crdt-scripts.ts';
import {lwwRegister, mvRegister, REPLICAS} from '../support/subjects.ts';

const [EU, US, AP] = REPLICAS;
const write = (replica: Step['replica'], hears: Step['hears'], ms: number, command: JsonValue): Step => ({
  replica,
  hears,
  time: {ms, logical: 0},
  writes: [{field: 'field', command}],
});

test('[LWW1] of the values nobody has replaced, the one with the greatest stamp is read, in any delivery', () =>
  convergesOnModel(lwwRegister, 2000));
test('[LWW1] [DOC1] join obeys its laws', () => obeysJoinLaws(lwwRegister, 1500));

test('[LWW2] a write wins over what its author had seen, even when its clock is behind', () => {
  const run = play(only(lwwRegister), [write(EU, null, 1_000, 'seen'), write(US, EU, 5, 'later')]);
  expect(latest(fieldState(joinAll(run.shape, run.documents), 'field', lwwType))).toBe('later');
});

test('[LWW3] concurrent writes of one millisecond: every replica reads the same one', () => {
  const run = play(only(lwwRegister), [write(EU, null, 7, 'eu'), write(US, null, 7, 'us'), write(AP, null, 6, 'ap')]);
  for (const order of [
    [0, 1, 2],
    [2, 1, 0],
  ]) {
    const document = joinAll(
      run.shape,
      order.map(index => run.documents[index]!),
    );
    expect(latest(fieldState(document, 'field', lwwType))).toBe('us');
  }
});

test('[MV1] every value that no write has replaced is read, in any delivery', () => convergesOnModel(mvRegister, 2000));
test('[MV1] [DOC1] join obeys its laws', () => obeysJoinLaws(mvRegister, 1500));

test('[MV2] equal concurrent values are read once; a write that saw them replaces them all', () => {
  const concurrent = [write(EU, null, 1, {n: 1}), write(US, null, 2, {n: 1}), write(AP, null, 3, {n: 2})];
  const read = (script: readonly Step[]) => {
    const run = play(only(mvRegister), script);
    return values(fieldState(joinAll(run.shape, run.documents), 'field', mvType));
  };
  expect(read(concurrent)).toEqual([{n: 1}, {n: 2}]);
  expect(read([...concurrent, write(EU, US, 4, 'x'), write(EU, AP, 0, 'one')])).toEqual(['one']);
});

test('[MV3] a register holds at most one write per replica', () => {
  const subjects = only(mvRegister);
  const property = fc.property(scriptOf(subjects), script => {
    const run = play(subjects, script);
    const state = fieldState(joinAll(run.shape, run.documents), 'field', mvType);
    expect(new Set(state.map(({replica}) => replica)).size).toBe(state.length);
  });
  fc.assert(property, {numRuns: 200});
});
