import fc from 'fast-check';
import {expect, test} from 'vitest';
import {CHANGE, wholeOf} from '../../crdt/causal-context.ts';
import {insert, length, list, type List, move, remove} from '../../crdt/list.ts';
import {
  countBefore,
  emptySequence,
  itemAt,
  itemsIn,
  type Sequence,
  sequenceFrom,
  withItems,
  withoutItem,
} from '../../crdt/list-sequence.ts';
import {EMPTY_VECTOR} from '../../crdt/version-vector.ts';
import {WRITERS} from '../support/list-scripts.ts';

test('[LI22] the sequence under a list does what an array does', () => {
  const edit = fc.record({remove: fc.boolean(), at: fc.nat(), times: fc.integer({min: 1, max: 80})});
  const property = fc.property(fc.nat(3000), fc.array(edit, {maxLength: 40}), (size, edits) => {
    let next = size;
    const plain = Array.from({length: size}, (_, index) => index);
    let sequence: Sequence<number> = size === 0 ? emptySequence<number>() : sequenceFrom([...plain]);
    for (const {remove: removes, at, times} of edits) {
      for (let time = 0; time < times; time++) {
        const index = (at + time) % (plain.length + (removes ? 0 : 1)) || 0;
        if (removes && plain.length > 0) {
          plain.splice(index, 1);
          sequence = withoutItem(sequence, index);
        } else if (!removes) {
          const added = Array.from({length: time % 7 === 6 ? at % 500 : 1}, () => next++);
          plain.splice(index, 0, ...added);
          sequence = withItems(sequence, index, added);
        }
      }
      expect(sequence.length).toBe(plain.length);
      expect(itemAt(sequence, at % 4000)).toBe(plain[at % 4000]);
    }
    expect(itemsIn(sequence)).toEqual(plain);
    const index = new Map(plain.map((item, place) => [item, place]));
    for (const place of [0, plain.length >> 1, plain.length])
      expect(countBefore(sequence, item => index.get(item)! < place)).toBe(place);
  });
  fc.assert(property, {numRuns: 200});
});

/** All objects that a value holds, to count those that a change has made. */
function objectsIn(value: unknown, found: Set<object>): Set<object> {
  const waiting = [value];
  while (waiting.length > 0) {
    const next = waiting.pop();
    if (typeof next !== 'object' || next === null || found.has(next)) continue;
    found.add(next);
    waiting.push(...Object.values(next));
  }
  return found;
}

test('[LI23] a change of one element in 100,000 looks at a few, and makes a few objects; all others are shared', () => {
  const known = wholeOf(EMPTY_VECTOR);
  let counter = 0;
  const author = () => {
    counter++;
    let index = 0;
    return {
      replica: WRITERS[0],
      time: {ms: 1, logical: 0},
      tag: () => ({replica: WRITERS[0], counter, index: index++}),
    };
  };
  const values = Array.from({length: 100_000}, (_, index) => index);
  const state = list.join(list.empty, known, insert(list.empty, author(), 0, values), CHANGE);
  const held = ({order, buckets}: List) =>
    [order, ...buckets.values()].reduce((found, one) => objectsIn(one, found), new Set<object>());
  const before = held(state);
  for (const change of [
    (from: List) => insert(from, author(), 50_000, ['x']),
    (from: List) => insert(from, author(), length(from), ['x']),
    (from: List) => remove(from, 70_000),
    (from: List) => move(from, author(), 3, 99_000),
  ]) {
    const after = list.join(state, known, change(state), CHANGE);
    const made = [...held(after)].filter(object => !before.has(object));
    expect(made.length).toBeLessThan(40);
    for (const object of made) expect(Object.keys(object).length).toBeLessThan(100);
  }
  let asked = 0;
  countBefore(state.order, () => ++asked % 2 === 0);
  expect(asked).toBeLessThan(30);
});

test('[LI22] a list takes in a million elements at once, in its middle too', () => {
  let sequence = withItems(
    sequenceFrom([0, 1]),
    1,
    Array.from({length: 1_000_000}, (_, index) => index),
  );
  expect(sequence.length).toBe(1_000_002);
  expect([0, 1, 1_000_000, 1_000_001].map(index => itemAt(sequence, index))).toEqual([0, 0, 999_999, 1]);
  sequence = withoutItem(sequence, 500_000);
  expect(itemAt(sequence, 500_000)).toBe(500_000);
});
