import fc from 'fast-check';
import {expect, test} from 'vitest';
import {awSet, elements} from '../../crdt/aw-set.ts';
import {fieldState} from '../../crdt/document.ts';
import {convergesOnModel, obeysJoinLaws} from '../support/crdt-properties.ts';
import {joinAll, only, play, scriptOf, type Step} from '../support/crdt-scripts.ts';
import {REPLICAS, set} from '../support/subjects.ts';

const [EU, US] = REPLICAS;
const subjects = only(set);
const step = (replica: Step['replica'], hears: Step['hears'], ...commands: readonly string[]): Step => ({
  replica,
  hears,
  time: {ms: 1, logical: 0},
  writes: commands.map(command => {
    const [kind, element] = command.split(' ');
    return {field: 'field', command: {kind, element}};
  }),
});
const read = (script: readonly Step[]) => {
  const run = play(subjects, script);
  return elements(fieldState(joinAll(run.shape, run.documents), 'field', awSet));
};

test('[AW1] an element is in while one of its adds has been seen by none of its removes, in any delivery', () =>
  convergesOnModel(set, 2000));
test('[AW1] [DOC1] join obeys its laws', () => obeysJoinLaws(set, 1500));

test('[AW2] an add wins over a remove that had not seen it', () => {
  expect(read([step(EU, null, 'add x'), step(US, EU, 'add x'), step(EU, null, 'remove x')])).toEqual(['x']);
  expect(read([step(EU, null, 'add x'), step(US, EU, 'add x'), step(EU, US, 'remove x')])).toEqual([]);
});

test('[AW3] elements added in one event are removed one by one: the siblings stay', () => {
  const together = step(EU, null, 'add x', 'add y', 'add z');
  expect(read([together, step(US, EU, 'remove y')])).toEqual(['x', 'z']);
  expect(read([together, step(US, EU, 'remove x', 'remove z', 'add w')])).toEqual(['w', 'y']);
  expect(read([step(EU, null, 'add x', 'add y', 'remove x')])).toEqual(['y']);
  expect(read([together, step(US, EU, 'remove x', 'add x')])).toEqual(['x', 'y', 'z']);
});

test('[AW4] an element holds at most one tag per replica, and a removed one holds nothing', () => {
  const property = fc.property(scriptOf(subjects), script => {
    const run = play(subjects, script);
    for (const tags of fieldState(joinAll(run.shape, run.documents), 'field', awSet).values()) {
      expect(tags.length).toBeGreaterThan(0);
      expect(new Set(tags.map(tag => tag.replica)).size).toBe(tags.length); // Or repeated adds would pile up.
    }
  });
  fc.assert(property, {numRuns: 200});
});
