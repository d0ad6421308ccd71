import fc from 'fast-check';
import {expect, test} from 'vitest';
import * as awSet from '../../crdt/aw-set.ts';
import * as bounded from '../../crdt/bounded-counter.ts';
import {toHex} from '../../crdt/bytes.ts';
import {
  type Document,
  documentOf,
  EMPTY_DOCUMENT,
  encodePart,
  fieldState,
  join,
  type Shape,
} from '../../crdt/document.ts';
import {Draft} from '../../crdt/draft.ts';
import * as registers from '../../crdt/registers.ts';
import {Refusal} from '../../crdt/refusal.ts';
import {deepFreeze} from '../support/deep-freeze.ts';
import {encodedDelta, fingerprint, play, scriptOf, shapeOf} from '../support/crdt-scripts.ts';
import {ALL_SUBJECTS, REPLICAS} from '../support/subjects.ts';

const [EU, US] = REPLICAS;
const SHAPE: Shape = new Map<string, Shape extends ReadonlyMap<string, infer T> ? T : never>([
  ['tags', awSet.awSet],
  ['stock', bounded.boundedCounter],
  ['name', registers.lwwRegister],
]);
const head = (counter: number, replica = EU) => ({replica, counter, time: {ms: counter, logical: 0}});
const add = (draft: Draft, element: string) => draft.write('tags', awSet.add(draft.state('tags'), draft, element));
const remove = (draft: Draft, element: string) => draft.write('tags', awSet.remove(draft.state('tags'), element));
const elements = (document: Document) => awSet.elements(fieldState(document, 'tags', awSet.awSet));
const after = (base: Document, draft: Draft) => deepFreeze(join(SHAPE, base, documentOf(draft.finish()!)));

test('[DR1] what a command reads while it runs is what its event leaves, in every field', () => {
  const full = shapeOf(ALL_SUBJECTS);
  const property = fc.property(scriptOf(ALL_SUBJECTS, 8), script => {
    for (const event of play(ALL_SUBJECTS, script).events) {
      if (!event) continue;
      for (const [name, type] of full) {
        const left = fieldState(event.after, name, type);
        expect(toHex(encodePart(type, event.drafted.get(name)))).toBe(toHex(encodePart(type, left)));
      }
    }
  });
  fc.assert(property, {numRuns: 300});
});

test('[DR2] a command that throws leaves nothing behind', () => {
  const setup = new Draft(SHAPE, EMPTY_DOCUMENT, head(1));
  add(setup, 'kept');
  const base = after(EMPTY_DOCUMENT, setup); // Frozen: nothing of what follows can reach it.
  const before = fingerprint(SHAPE, base);
  const draft = new Draft(SHAPE, base, head(2));
  const command = () => {
    add(draft, 'lost');
    remove(draft, 'kept');
    draft.write('stock', bounded.decrement(draft.state('stock'), EU, 1));
  };
  expect(command).toThrow(Refusal);
  expect(fingerprint(SHAPE, base)).toBe(before);
  const next = new Draft(SHAPE, base, head(2)); // The dot was not spent.
  add(next, 'y');
  expect(elements(after(base, next))).toEqual(['kept', 'y']);
});

test('[DR2] a mutator that throws leaves the draft as it was', () => {
  const draft = new Draft(SHAPE, EMPTY_DOCUMENT, head(1));
  add(draft, 'x');
  const untouched = encodedDelta(SHAPE, draft.finish()!);
  expect(() => draft.write('name', registers.set(draft.state('name'), draft, '\ud800'))).toThrow();
  expect(() => draft.write('stock', bounded.decrement(draft.state('stock'), EU, 1))).toThrow(Refusal);
  expect(encodedDelta(SHAPE, draft.finish()!)).toEqual(untouched);
});

test('[DR3] a command that changes nothing makes no event', () => {
  expect(new Draft(SHAPE, EMPTY_DOCUMENT, head(1)).finish()).toBe(undefined);
  const absent = new Draft(SHAPE, EMPTY_DOCUMENT, head(1));
  remove(absent, 'x');
  expect(absent.finish()).toBe(undefined);
  const undone = new Draft(SHAPE, EMPTY_DOCUMENT, head(1));
  add(undone, 'x');
  remove(undone, 'x');
  expect(undone.finish()).toBe(undefined);
  const zero = new Draft(SHAPE, EMPTY_DOCUMENT, head(1));
  zero.write('stock', bounded.decrement(zero.state('stock'), EU, 0));
  expect(zero.finish()).toBe(undefined);
});

test('[DR4] many writes are one event with one dot, and each has a tag of its own', () => {
  const draft = new Draft(SHAPE, EMPTY_DOCUMENT, head(1));
  for (const element of ['x', 'y', 'z']) add(draft, element);
  draft.write('name', registers.set(draft.state('name'), draft, 'n'));
  draft.write('stock', bounded.increment(draft.state('stock'), EU, 2));
  const document = after(EMPTY_DOCUMENT, draft);
  expect([...document.vector]).toEqual([[EU, 1]]);
  const tags = [...SHAPE].flatMap(([name, type]) => [...type.tags(fieldState(document, name, type))]);
  expect(tags.map(({index}) => index).sort()).toEqual([0, 1, 2, 3]);

  const later = new Draft(SHAPE, document, head(1, US));
  remove(later, 'y');
  expect(elements(after(document, later))).toEqual(['x', 'z']);
});

test('[DR5] a field outside the shape is a defect', () => {
  const draft = new Draft(SHAPE, EMPTY_DOCUMENT, head(1));
  expect(() => draft.state('absent')).toThrow();
  expect(() => draft.write('absent', new Map())).toThrow();
});

test('[DR6] a command may add 2,000 elements', () => {
  const draft = new Draft(SHAPE, EMPTY_DOCUMENT, head(1));
  for (let index = 0; index < 2_000; index++) add(draft, `element ${index}`);
  expect(elements(after(EMPTY_DOCUMENT, draft))).toHaveLength(2_000);
}, 10_000); // Tags counted one union at a time took half a minute.
