import {expect, test} from 'vitest';
import {CHANGE, wholeOf} from '../../crdt/causal-context.ts';
import {
  decodeState,
  type Document,
  documentOf,
  EMPTY_DOCUMENT,
  encodePart,
  encodeState,
  fieldState,
  join,
} from '../../crdt/document.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import {Draft} from '../../crdt/draft.ts';
import {at, insert, length, list, type List, move, remove, values} from '../../crdt/list.ts';
import {get, orMap, type ORMap, remove as removeKey, update} from '../../crdt/or-map.ts';
import {ROOT} from '../../crdt/list-position.ts';
import {Refusal} from '../../crdt/refusal.ts';
import {EMPTY_VECTOR} from '../../crdt/version-vector.ts';
import {LIST_SHAPE, listOf, shown, WRITERS, Writing, type ListEvent} from '../support/list-scripts.ts';

const at0 = (ms: number) => ({ms, logical: 0});
const KNOWN = wholeOf(EMPTY_VECTOR);

function pair(): [Writing, Writing] {
  const events: ListEvent[] = [];
  const [a, b] = [new Writing(WRITERS[0], events), new Writing(WRITERS[1], events)];
  a.write(at0(1), draft => draft.insert(0, 5));
  b.hear(a);
  return [a, b];
}

function meet(a: Writing, b: Writing): readonly string[] {
  b.hear(a);
  a.hear(b);
  expect(shown(a.document)).toEqual(shown(b.document));
  return shown(a.document);
}

test('[LI11] of concurrent moves of one element the later one is shown, and it is there once', () => {
  for (const [first, second, expected] of [
    [2, 3, ['a1.0', 'a1.2', 'a1.3', 'a1.4', 'a1.1']],
    [3, 2, ['a1.1', 'a1.0', 'a1.2', 'a1.3', 'a1.4']],
    [2, 2, ['a1.0', 'a1.2', 'a1.3', 'a1.4', 'a1.1']], // Equal stamps go by tag.
  ] as const) {
    const [a, b] = pair();
    a.write(at0(first), draft => draft.move(1, 0));
    b.write(at0(second), draft => draft.move(1, 4));
    expect(meet(a, b)).toEqual(expected);
  }
});

test('[LI12] a move replaces the moves that its author had seen, whatever the clocks say', () => {
  const [a, b] = pair();
  a.write(at0(9), draft => draft.move(0, 4));
  b.hear(a);
  b.write(at0(1), draft => draft.move(4, 1));
  expect(meet(a, b)).toEqual(['a1.1', 'a1.0', 'a1.2', 'a1.3', 'a1.4']);
});

test('[LI12] also when it had seen them long before', () => {
  const [a, b] = pair();
  b.write(at0(9), draft => draft.move(0, 4));
  a.hear(b);
  a.write(at0(1), draft => draft.insert(0));
  a.write(at0(1), draft => draft.move(5, 2)); // Whom its author heard of was said in the event before.
  expect(meet(a, b)).toEqual(shown(a.document));
  const reader = new Writing(WRITERS[2], a.events);
  reader.hear(a, true);
  expect(shown(reader.document)).toEqual(['a2.0', 'a1.1', 'a1.0', 'a1.2', 'a1.3', 'a1.4']);
});

test('[LI13] a removal wins over moves that it had not seen', () => {
  const [a, b] = pair();
  a.write(at0(1), draft => draft.remove(1));
  b.write(at0(2), draft => draft.move(1, 3));
  expect(meet(a, b)).toEqual(['a1.0', 'a1.2', 'a1.3', 'a1.4']);
  b.write(at0(3), draft => draft.remove(0, 4));
  expect(meet(a, b)).toEqual([]);
  expect(a.document.fields.size).toBe(0);
});

test('[LI14] a place outside the list is refused with what was asked and how long the list is', () => {
  const [a] = pair();
  const state = listOf(a.document);
  const author = {replica: WRITERS[0], time: at0(1), tag: () => expect.fail('a tag was spent')};
  const refused = (command: () => unknown) => {
    expect(command).toThrow(Refusal);
    expect(command).toThrow(expect.objectContaining({code: 'out-of-range'}));
  };
  for (const index of [-1, 6, 0.5, NaN]) refused(() => insert(state, author, index, ['x']));
  for (const index of [-1, 5, 0.5]) refused(() => remove(state, index));
  refused(() => remove(state, 3, 3));
  for (const [from, to] of [
    [0, 5],
    [5, 0],
    [-1, 0],
    [0, -1],
  ] as const)
    refused(() => move(state, author, from, to));
  for (const nothing of [insert(state, author, 5, []), remove(state, 5, 0), move(state, author, 4, 4)])
    expect(list.isEmpty(nothing)).toBe(true);
  expect([at(state, -1), at(state, 5)]).toEqual([undefined, undefined]);
  expect([at(state, 0), at(state, 4), length(state)]).toEqual(['a1.0', 'a1.4', 5]);
});

test('[LI15] values are JSON, and nobody can change them afterwards', () => {
  const value = {deep: [1]};
  const author = {replica: WRITERS[0], time: at0(1), tag: () => ({replica: WRITERS[0], counter: 1, index: 0})};
  const state = list.join(list.empty, KNOWN, insert(list.empty, author, 0, [value]), CHANGE);
  value.deep.push(2);
  const held = at(state, 0) as unknown as typeof value;
  expect(held).toEqual({deep: [1]});
  expect(() => held.deep.push(2)).toThrow(TypeError);
  expect(() => insert(list.empty, author, 0, [NaN])).toThrow();
});

const CHARACTERS = 10_000;

function typed(): Writing {
  const writing = new Writing(WRITERS[0], []);
  writing.write(at0(1), draft => draft.insert(0, CHARACTERS));
  return writing;
}

test('[LI16] a change of one element costs the same few bytes in a list of ten and of ten thousand', () => {
  const sizes = [10, CHARACTERS].map(size => {
    const writing = new Writing(WRITERS[0], []);
    writing.write(at0(1), draft => draft.insert(0, size));
    const half = size / 2;
    return [
      writing.write(at0(2), draft => draft.insert(half)),
      writing.write(at0(3), draft => draft.insert(size + 1)),
      writing.write(at0(4), draft => draft.move(half, 1)),
      writing.write(at0(5), draft => draft.remove(half)),
    ].map(event => event!.bytes.length);
  });
  for (const [nth, bytes] of sizes[1]!.entries()) {
    expect(bytes).toBeLessThan(48);
    expect(bytes - sizes[0]![nth]!).toBeLessThan(12);
  }
});

test('[LI17] what is removed leaves nothing behind', () => {
  const writing = typed();
  writing.write(at0(2), draft => draft.insert(CHARACTERS / 2, 100));
  writing.write(at0(2), draft => draft.move(0, 77));
  writing.write(at0(3), draft => draft.remove(0, CHARACTERS + 99));
  expect(shown(writing.document)).toHaveLength(1);
  expect(encodePart(list, listOf(writing.document)).length).toBeLessThan(40);
  writing.write(at0(4), draft => draft.remove(0));
  expect(listOf(writing.document)).toBe(list.empty);
  expect(encodeState(LIST_SHAPE, writing.document).length).toBeLessThan(24);
});

test('[LI18] text costs a byte for each character, forwards, backwards and in one event, and little more where it is cut', () => {
  for (const way of ['forwards', 'backwards', 'at once'] as const) {
    let state = list.empty;
    let counter = 0;
    const step = (write: (author: Parameters<typeof insert>[1]) => typeof state) => {
      counter++;
      let index = 0;
      const author = {replica: WRITERS[0], time: at0(1), tag: () => ({replica: WRITERS[0], counter, index: index++})};
      state = list.join(state, KNOWN, write(author), CHANGE);
    };
    const text = Array.from({length: 2000}, (_, nth) => 'abcdefg'[nth % 7]!);
    if (way === 'at once') step(author => insert(state, author, 0, text));
    else for (const one of text) step(author => insert(state, author, way === 'forwards' ? length(state) : 0, [one]));
    expect(values(state)).toEqual(way === 'backwards' ? text.toReversed() : text);
    expect(encodePart(list, state).length).toBeLessThan(text.length + 40);
    for (let cut = 0; cut < 100; cut++) step(() => remove(state, cut * 19));
    expect(encodePart(list, state).length).toBeLessThan(text.length + 100 * 6);
    const bunches = new Set([...state.buckets.values()].flat().map(entry => entry.position?.bunch));
    expect(bunches.size).toBeLessThanOrEqual(2);
    for (const bunch of bunches) expect(bunch!.depth).toBeLessThanOrEqual(2);
    expect(bunches.has(ROOT)).toBe(false);
  }
});

test('[LI25] a list can be the value of a map: removing the key takes back what its author had seen', () => {
  const type = orMap(list);
  const shape = new Map([['lists', type]]);
  let [a, b]: [Document, Document] = [EMPTY_DOCUMENT, EMPTY_DOCUMENT];
  let counter = 0;
  const write = (document: Document, replica: ReplicaId, edit: (draft: Draft) => ORMap<List>): Document => {
    const draft = new Draft(shape, document, {replica, counter: ++counter, time: at0(counter)});
    draft.write('lists', edit(draft));
    return join(shape, document, documentOf(draft.finish()!));
  };
  const read = (document: Document) => {
    const held = get(list, fieldState(document, 'lists', type), 'k');
    return held && values(held);
  };
  const state = (draft: Draft) => draft.state<ORMap<List>>('lists');
  a = write(a, WRITERS[0], draft => update(list, state(draft), draft, 'k', held => insert(held, draft, 0, ['x', 'y'])));
  b = join(shape, b, a);
  counter = 0;
  a = write(a, WRITERS[1], draft => removeKey(list, state(draft), 'k'));
  counter = 0;
  b = write(b, WRITERS[2], draft => update(list, state(draft), draft, 'k', held => insert(held, draft, 1, ['new'])));
  expect(read(a)).toBeUndefined();
  expect(read(b)).toEqual(['x', 'new', 'y']);
  for (const both of [join(shape, a, b), join(shape, b, a)]) {
    expect(read(both)).toEqual(['new']);
    const bytes = encodeState(shape, both);
    expect(encodeState(shape, decodeState(shape, bytes))).toEqual(bytes);
    expect(read(decodeState(shape, bytes))).toEqual(['new']);
  }
});

test('[LI6] a part holds what one replica wrote in 64 events, and of one event 64 elements', () => {
  const writing = new Writing(WRITERS[0], []);
  for (let event = 0; event < 200; event++) writing.write(at0(1), draft => draft.insert(event));
  expect([...list.parts(listOf(writing.document))]).toHaveLength(4);
  const before = new Set([...list.parts(listOf(writing.document))].map(([, part]) => part));
  writing.write(at0(1), draft => draft.insert(100, 640));
  const after = [...list.parts(listOf(writing.document))].map(([, part]) => part);
  expect(after).toHaveLength(4 + 9);
  expect(after.filter(part => before.has(part))).toHaveLength(3);
});
