import fc from 'fast-check';
import {expect, test} from 'vitest';
import * as awSet from '../../crdt/aw-set.ts';
import * as bounded from '../../crdt/bounded-counter.ts';
import {DecodeError, toHex} from '../../crdt/bytes.ts';
import {growthOf} from '../../crdt/crdt-type.ts';
import {type AnyCrdtType, documentOf, encodeFields, encodeState, fieldState, join} from '../../crdt/document.ts';
import {Encoder, ReplicaTable} from '../../crdt/codec.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import {Draft} from '../../crdt/draft.ts';
import * as lists from '../../crdt/list.ts';
import * as lwwSets from '../../crdt/lww-element-set.ts';
import * as maps from '../../crdt/or-map.ts';
import * as counters from '../../crdt/pn-counter.ts';
import {Refusal} from '../../crdt/refusal.ts';
import * as registers from '../../crdt/registers.ts';
import {amountsOf, decodeAmounts, undo} from '../../crdt/undo.ts';
import {counterOf} from '../../crdt/version-vector.ts';
import {joinAll, only, play, readField, scriptOf, shapeOf, type Subjects} from '../support/crdt-scripts.ts';
import {ALL_SUBJECTS, type AnySubject, boundedCounter, MORE_SUBJECTS, REPLICAS} from '../support/subjects.ts';
import {isTotal} from '../support/totality.ts';
import {executeTwice, type Made, twiceOf, World} from '../support/void-events.ts';

const [ONE, OTHER] = REPLICAS;
const SUBJECTS = [...ALL_SUBJECTS, ...MORE_SUBJECTS];
const LATE = {ms: 9, logical: 0};
/** Nothing takes all of these back at once: whoever saw the event and not its undoing can do nothing that both take back. */
const isFlat = ({type}: AnySubject) => !/list|resettable|map/.test(type.name);

const joinedIn = (world: World) =>
  joinAll(
    world.shape,
    REPLICAS.map(replica => world.documentOf(replica)),
  );

/** Whether it was taken back; a refusal leaves everything as it was. */
function undone(world: World, made: Made): boolean {
  const before = world.documentOf(ONE);
  try {
    world.undo(made, LATE);
    return true;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    expect(world.documentOf(ONE)).toBe(before);
    return false;
  }
}

function showsNothingOf(world: World, subjects: Subjects, ids: readonly number[]): void {
  const joined = joinedIn(world);
  for (const field of subjects.keys()) expect(readField(subjects, joined, field)).toEqual(world.without(field, ids));
}

/** The last tag of an element stays (UND8): an add that counts may have been removed, or replaced by this one. */
function showsNoMoreThan(world: World, ids: readonly number[]): void {
  const shown = awSet.elements(fieldState(joinedIn(world), 'field', awSet.awSet));
  const [least, most] = [world.without('field', ids), world.without('field', [])] as [string[], string[]];
  expect(shown).toEqual(expect.arrayContaining(least));
  expect(most).toEqual(expect.arrayContaining([...shown]));
}

function isAsIfNever(subjects: Subjects, numRuns: number): void {
  let [taken, refused] = [0, 0];
  const property = fc.property(twiceOf(subjects), twice => {
    const world = new World(subjects);
    const made = executeTwice(world, twice);
    if (!made) return;
    world.hear(ONE, OTHER);
    const isUndone = undone(world, made);
    if (isUndone) taken++;
    else refused++;
    world.play(twice.after);
    showsNothingOf(world, subjects, isUndone ? made.ids : []);
  });
  fc.assert(property, {numRuns});
  expect(taken).toBeGreaterThan(refused);
}

test.each(SUBJECTS)(
  '[UND1] an event that is taken back has never been, for all that is shown: field %s',
  (_, subject) => {
    isAsIfNever(only(subject), 150);
  },
);

test('[UND1] an event of many fields that is taken back has never been', () => {
  isAsIfNever(ALL_SUBJECTS, 150);
});

test.each(SUBJECTS.filter(([, subject]) => isFlat(subject)))(
  '[UND2] it has never been for those either who had seen it before it was taken back: field %s',
  (_, subject) => {
    const subjects = only(subject);
    const property = fc.property(twiceOf(subjects), fc.nat(5), (twice, at) => {
      const world = new World(subjects);
      const made = executeTwice(world, twice);
      if (!made) return;
      world.play(twice.after.slice(0, at));
      world.hear(ONE, OTHER);
      const isUndone = undone(world, made);
      world.play(twice.after.slice(at));
      const ids = isUndone ? made.ids : [];
      if (subject.type === awSet.awSet) showsNoMoreThan(world, ids);
      else showsNothingOf(world, subjects, ids);
    });
    fc.assert(property, {numRuns: 150});
  },
);

test.each(SUBJECTS)('[UND3] the event that takes back is one like any other, in any order: field %s', (_, subject) => {
  const subjects = only(subject);
  const scenario = fc.tuple(twiceOf(subjects), fc.array(fc.nat(), {maxLength: 30}));
  const property = fc.property(scenario, ([twice, order]) => {
    const world = new World(subjects);
    const made = executeTwice(world, twice);
    if (made) undone(world, made);
    world.play(twice.after);
    const shuffled = world.deltas
      .map((delta, at) => ({delta, place: order[at] ?? 0}))
      .sort((a, b) => a.place - b.place);
    const delivered = joinAll(
      world.shape,
      [...shuffled, ...shuffled].map(({delta}) => delta),
    );
    expect(toHex(encodeState(world.shape, delivered))).toBe(toHex(encodeState(world.shape, joinedIn(world))));
  });
  fc.assert(property, {numRuns: 100});
});

test('[UND4] rights and value still agree, and never fall below zero, whenever an event is taken back', () => {
  const subjects = only(boundedCounter);
  const property = fc.property(twiceOf(subjects), fc.nat(5), (twice, at) => {
    const world = new World(subjects);
    const made = executeTwice(world, twice);
    world.play(twice.after.slice(0, at));
    if (made) undone(world, made);
    world.play(twice.after.slice(at));
    for (const document of [...REPLICAS.map(replica => world.documentOf(replica)), joinedIn(world)]) {
      const state = fieldState(document, 'field', bounded.boundedCounter);
      const rights = [...bounded.rights(state).values()].map(BigInt);
      expect(rights.every(held => held >= 0n)).toBe(true);
      expect(rights.reduce((sum, held) => sum + held, 0n)).toBe(BigInt(bounded.value(state)));
    }
  });
  fc.assert(property, {numRuns: 300});
});

const SHAPE = new Map<string, AnyCrdtType>([
  ['bins', maps.orMap(counters.pnCounter)],
  ['members', lwwSets.lwwElementSet],
  ['name', registers.lwwRegister],
  ['notes', maps.orMap(awSet.awSet)],
  ['price', registers.mvRegister],
  ['sold', counters.pnCounter],
  ['stock', bounded.boundedCounter],
  ['tags', awSet.awSet],
  ['text', lists.list],
  ['views', counters.gCounter],
]);

type Change = (draft: Draft) => void;

/** Replicas that write to all fields of the shape above. */
class Shop extends World {
  constructor() {
    super(new Map([...SHAPE].map(([name, type]) => [name, {type} as AnySubject])));
  }

  does(replica: ReplicaId, change: Change): Made {
    return this.commit(replica, LATE, change)!;
  }

  state<S>(name: string, replica = ONE): S {
    return fieldState(this.documentOf(replica), name, SHAPE.get(name)!) as S;
  }
}

const change =
  <S>(name: string, by: (state: S, draft: Draft) => S): Change =>
  draft =>
    draft.write(name, by(draft.state<S>(name), draft));
const add = (element: string) => change<awSet.AWSet>('tags', (state, draft) => awSet.add(state, draft, element));
const count = (amount: number) =>
  change<counters.PNCounter>('sold', (state, {replica}) => counters.increment(state, replica, amount));
const grow = (amount: number) =>
  change<counters.PNCounter>('views', (state, {replica}) => counters.grow(state, replica, amount));
const make = (amount: number) =>
  change<bounded.BoundedCounter>('stock', (state, {replica}) => bounded.increment(state, replica, amount));
const use = (amount: number) =>
  change<bounded.BoundedCounter>('stock', (state, {replica}) => bounded.decrement(state, replica, amount));
const pass = (amount: number, to: ReplicaId) =>
  change<bounded.BoundedCounter>('stock', (state, {replica}) => bounded.transfer(state, replica, to, amount));
const fill = (key: string, amount: number) =>
  change<maps.ORMap<counters.PNCounter>>('bins', (state, draft) =>
    maps.update(counters.pnCounter, state, draft, key, held => counters.increment(held, draft.replica, amount)),
  );
const empty = (key: string) =>
  change<maps.ORMap<counters.PNCounter>>('bins', state => maps.remove(counters.pnCounter, state, key));
const inBins = (shop: Shop, replica?: ReplicaId) => {
  const state = shop.state<maps.ORMap<counters.PNCounter>>('bins', replica);
  return maps
    .keys(counters.pnCounter, state)
    .map(key => [key, counters.value(maps.get(counters.pnCounter, state, key)!)]);
};

test('[UND5] rights that are elsewhere by now are refused, and taken back when they are here again', () => {
  const shop = new Shop();
  const made = shop.does(ONE, make(5));
  shop.does(ONE, pass(3, OTHER));
  expect(() => shop.undo(made)).toThrow(expect.objectContaining({name: 'Refusal', code: 'rights-exhausted'}));
  expect(bounded.value(shop.state('stock'))).toBe(5);
  shop.hear(OTHER, ONE);
  shop.does(OTHER, pass(3, ONE));
  shop.hear(ONE, OTHER);
  shop.undo(made);
  expect(bounded.value(shop.state('stock'))).toBe(0);
});

test('[UND5] stock that is sold by now is refused, and an event that both made and sold is taken back as one', () => {
  const shop = new Shop();
  const made = shop.does(ONE, make(5));
  shop.does(ONE, use(4));
  expect(() => shop.undo(made)).toThrow(expect.objectContaining({name: 'Refusal', code: 'insufficient-stock'}));
  const both = shop.does(ONE, draft => [make(7), use(8)].forEach(step => step(draft)));
  expect(bounded.value(shop.state('stock'))).toBe(0);
  shop.undo(both);
  expect(bounded.value(shop.state('stock'))).toBe(1);
});

test('[UND6] what others added too stays, and so does what the event removed', () => {
  const shop = new Shop();
  shop.does(ONE, add('gone'));
  shop.hear(OTHER, ONE);
  shop.does(OTHER, add('both'));
  const made = shop.does(ONE, draft => {
    for (const element of ['both', 'own']) add(element)(draft);
    draft.write('tags', awSet.remove(draft.state('tags'), 'gone'));
    draft.write('price', registers.set(draft.state('price'), draft, 12));
  });
  shop.hear(ONE, OTHER);
  shop.undo(made);
  expect(awSet.elements(shop.state('tags'))).toEqual(['both', 'own']); // UND8.
  expect(registers.values(shop.state('price'))).toEqual([12]);
  shop.hear(OTHER, ONE);
  expect(encodeState(SHAPE, shop.documentOf(OTHER))).toEqual(encodeState(SHAPE, shop.documentOf(ONE)));
});

test('[UND6] what is under a key beside it stays', () => {
  const note = (element: string) =>
    change<maps.ORMap<awSet.AWSet>>('notes', (state, draft) =>
      maps.update(awSet.awSet, state, draft, 'k', held => awSet.add(held, draft, element)),
    );
  const shop = new Shop();
  shop.does(OTHER, note('x'));
  shop.hear(ONE, OTHER);
  const made = shop.does(ONE, note('x'));
  shop.does(OTHER, note('x'));
  shop.does(ONE, note('z'));
  shop.hear(ONE, OTHER);
  shop.undo(made);
  expect(awSet.elements(maps.get(awSet.awSet, shop.state('notes'), 'k')!)).toEqual(['x', 'z']);
});

test('[UND7] counts are taken back at keys that are there, and what was removed with its key is not taken back again', () => {
  const shop = new Shop();
  shop.does(OTHER, fill('k', 1));
  shop.hear(ONE, OTHER);
  const made = shop.does(ONE, fill('k', 5));
  const second = shop.does(ONE, fill('k', 20));
  shop.undo(made);
  expect(inBins(shop)).toEqual([['k', 21]]);
  shop.does(ONE, empty('k'));
  shop.undo(second);
  expect(inBins(shop)).toEqual([]);
  shop.does(ONE, fill('k', 2));
  expect(inBins(shop)).toEqual([['k', 2]]);
});

test.each([
  ['first to last', [0, 1, 2]],
  ['last to first', [2, 1, 0]],
])('[UND7] several events are taken back in any order: %s', (_, order) => {
  const shop = new Shop();
  shop.does(ONE, draft => [count(100), grow(100), make(100)].forEach(step => step(draft)));
  const events = [1, 5, 9].map(amount =>
    shop.does(ONE, draft =>
      [count(-amount), grow(amount), make(amount), fill('k', amount)].forEach(step => step(draft)),
    ),
  );
  for (const at of order) shop.undo(events[at]!);
  expect(counters.value(shop.state('sold'))).toBe(100);
  expect(counters.value(shop.state('views'))).toBe(100);
  expect(bounded.value(shop.state('stock'))).toBe(100);
  expect(inBins(shop)).toEqual([]);
});

test('[UND8] of two commands that were each executed twice, crosswise, both stay when the void events are taken back', () => {
  const price = (value: number) =>
    change<registers.Register>('price', (state, draft) => registers.set(state, draft, value));
  const both: Change = draft => [add('red'), fill('k', 2), price(7)].forEach(step => step(draft));
  const shop = new Shop();
  shop.does(ONE, both);
  const second = shop.does(ONE, both); // Counts at OTHER, where it was the first one.
  shop.does(OTHER, both);
  const first = shop.does(OTHER, both);
  shop.hear(ONE, OTHER);
  shop.undo(second);
  shop.hear(OTHER, ONE);
  shop.undo(first, LATE);
  shop.hear(ONE, OTHER);
  expect(awSet.elements(shop.state('tags'))).toEqual(['red']);
  expect(inBins(shop)).toEqual([['k', 4]]);
  expect(registers.values(shop.state('price'))).toEqual([7]);
});

test('[UND8] the last value of a last-writer-wins register or element is left, and one that others wrote beside it is not', () => {
  const name = (value: string) =>
    change<registers.Register>('name', (state, draft) => registers.set(state, draft, value));
  const join = (member: string) =>
    change<lwwSets.LWWElementSet>('members', (state, draft) => lwwSets.add(state, draft, member));
  const shop = new Shop();
  const made = shop.does(ONE, draft => [name('void'), join('void'), join('shared')].forEach(step => step(draft)));
  shop.does(OTHER, draft => {
    draft.write('members', lwwSets.remove(draft.state('members'), draft, 'shared'));
  });
  shop.hear(ONE, OTHER);
  shop.undo(made);
  expect(registers.latest(shop.state('name'))).toBe('void');
  expect(lwwSets.elements(shop.state('members'))).toEqual(['void']);
  const again = shop.does(ONE, name('again'));
  shop.does(OTHER, name('other'));
  shop.hear(ONE, OTHER);
  shop.undo(again);
  expect(registers.latest(shop.state('name'))).toBe('other');
});

test('[UND9] what the event put into a list goes wherever it was moved, and what it moved stays in the list', () => {
  const insert = (...values: string[]) =>
    change<lists.List>('text', (state, draft) => lists.insert(state, draft, lists.length(state), values));
  const move = (from: number, to: number) =>
    change<lists.List>('text', (state, draft) => lists.move(state, draft, from, to));
  const shop = new Shop();
  shop.does(ONE, insert('a', 'b', 'c'));
  const made = shop.does(ONE, draft => [insert('d'), move(0, 2)].forEach(step => step(draft)));
  expect(lists.values(shop.state('text'))).toEqual(['b', 'c', 'a', 'd']);
  shop.hear(OTHER, ONE);
  shop.does(OTHER, move(3, 0));
  shop.hear(ONE, OTHER);
  shop.undo(made);
  expect(lists.values(shop.state('text'))).toEqual(['b', 'c', 'a']);
  shop.hear(OTHER, ONE);
  const moved = shop.does(ONE, move(0, 2));
  shop.does(OTHER, move(0, 1));
  shop.hear(ONE, OTHER);
  shop.undo(moved);
  expect(lists.values(shop.state('text'))).toEqual(['c', 'b', 'a']);
});

test('[UND10] amounts say how much an event counted, and are kept for such events only', () => {
  const property = fc.property(scriptOf(ALL_SUBJECTS, 8), script => {
    const world = new World(ALL_SUBJECTS);
    for (const {replica, hears, time, writes} of script) {
      if (hears) world.hear(replica, hears);
      const before = world.documentOf(replica);
      const made = world.act(replica, time, writes);
      if (!made) continue;
      const {head, fields} = made.event;
      const amounts = made.amounts ? decodeAmounts(world.shape, head, made.amounts) : new Map<string, unknown>();
      const counted = [...fields].filter(([name, delta]) => {
        const type = world.shape.get(name)!;
        return !type.isEmpty(growthOf<unknown>(type, fieldState<unknown>(before, name, type), delta, replica));
      });
      expect([...amounts.keys()]).toEqual(counted.map(([name]) => name));
      const sold = amounts.get('sold') as counters.PNCounter | undefined;
      const [was, is] = [before, world.documentOf(replica)].map(document =>
        BigInt(counters.value(fieldState(document, 'sold', counters.pnCounter))),
      );
      expect(BigInt(sold ? counters.value(sold) : 0)).toBe(is! - was!);
    }
  });
  fc.assert(property, {numRuns: 200});
  const shop = new Shop();
  expect(shop.does(ONE, add('x')).amounts).toBe(undefined);
  expect(toHex(shop.does(ONE, count(3)).amounts!)).toBe('0104736f6c6402020103');
});

test('[UND10] whatever is no encoding of amounts is refused', () => {
  const counting: Subjects = new Map([...ALL_SUBJECTS].filter(([name]) => /bins|seats|sold|stock|views/.test(name)));
  const shape = shapeOf(counting);
  const head = {replica: ONE, counter: 7, time: LATE};
  const corpus = fc
    .sample(scriptOf(counting, 6), {seed: 5, numRuns: 40})
    .flatMap(script => play(counting, script).events)
    .flatMap(event => (event?.head.replica === ONE ? [event] : []))
    .flatMap(({before, delta}) => amountsOf(shape, before, {...delta, head}) ?? []);
  const recode = (bytes: Uint8Array): Uint8Array => {
    const amounts = decodeAmounts(shape, head, bytes, name => {
      throw new DecodeError(`not in the shape: ${name}`);
    });
    const encoder = new Encoder(new ReplicaTable([head.replica], [head.counter]), head.time);
    encodeFields(encoder, shape, amounts, true);
    return encoder.finish();
  };
  expect(corpus.length).toBeGreaterThan(10);
  isTotal(corpus, recode, 4_000);
});

test('[UND10] amounts of fields that the shape no longer has are left out', () => {
  const shop = new Shop();
  const {event, amounts} = shop.does(ONE, draft => [count(3), grow(2)].forEach(step => step(draft)));
  const smaller = new Map([...SHAPE].filter(([name]) => name !== 'sold'));
  expect([...decodeAmounts(smaller, event.head, amounts!).keys()]).toEqual(['views']);
  expect([...decodeAmounts(SHAPE, event.head, amounts!).keys()]).toEqual(['sold', 'views']);
});

test('[UND11] nobody but its author takes an event back', () => {
  const shop = new Shop();
  const {event, received, amounts} = shop.does(ONE, count(3));
  const document = join(SHAPE, shop.documentOf(OTHER), documentOf(event));
  const head = {replica: OTHER, counter: counterOf(document.vector, OTHER) + 1, time: LATE};
  const draft = new Draft(SHAPE, document, head);
  expect(() => undo(SHAPE, draft, {head: event.head, fields: received.fields, amounts})).toThrow('by its author');
  expect(draft.finish()).toBe(undefined);
});
