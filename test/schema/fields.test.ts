import {expect, test} from 'vitest';
import * as z from 'zod';
import {documentOf, join} from '../../crdt/document.ts';
import {Draft} from '../../crdt/draft.ts';
import * as counters from '../../crdt/pn-counter.ts';
import {type EditorsOf, entityType, type Fields} from '../../schema/entity-type.ts';
import {
  awSet,
  boundedCounter,
  dwFlag,
  ewFlag,
  gCounter,
  gSet,
  list,
  lwwElementSet,
  lwwRegister,
  mvRegister,
  orMap,
  pnCounter,
  resettableCounter,
  rwMap,
  rwSet,
} from '../../schema/fields.ts';
import {IDS} from '../support/mesh-arbitraries.ts';
import {codeOf, refusalOf, Subject} from '../support/schema-arbitraries.ts';

/** A type with one command, `do`, which runs what the test says. */
function subjectOf<F extends Fields>(fields: F) {
  const type = entityType('thing', {
    fields,
    commands: command => ({do: command(z.custom<(entity: EditorsOf<F>) => void>(), (entity, run) => run(entity))}),
  });
  const subject = new Subject(type);
  const run = (what: (entity: EditorsOf<F>) => void) => subject.command('do', what);
  return {subject, run};
}

test('[SCH30] counters read their own writes and take no fraction, and a grow-only one does not fall', () => {
  const {subject, run} = subjectOf({up: gCounter(), both: pnCounter()});
  run(({up, both}) => {
    up.increment(2);
    up.increment(3);
    both.decrement(4);
    expect([up.value, both.value]).toEqual([5, -4]);
  });
  expect(subject.view).toEqual({up: 5, both: -4});
  expect(codeOf(() => run(({up}) => up.increment(-1)))).toBe('out-of-range');
  expect(codeOf(() => subject.patch({up: {decrement: 1}}))).toBe('invalid');
  expect(subject.view.up).toBe(5);
});

test('[SCH31] a bounded counter starts at its minimum, shows it, and never falls below it', () => {
  const {subject, run} = subjectOf({seats: boundedCounter({min: 10})});
  expect(subject.view.seats).toBe(10);
  subject.patch({seats: {increment: 2}});
  expect(subject.view.seats).toBe(12);
  const refusal = refusalOf(() => run(({seats}) => seats.decrement(3)));
  expect(refusal).toMatchObject({code: 'insufficient-stock', facts: {field: 'seats', asked: 3, here: 2}});
  run(({seats}) => seats.decrement(2));
  expect(subject.view.seats).toBe(10);
  expect(codeOf(() => run(({seats}) => seats.decrement(1)))).toBe('insufficient-stock');
});

test('[SCH32] counts beyond 2^53 are exact in views', () => {
  const {subject, run} = subjectOf({both: pnCounter()});
  run(({both}) => both.increment(2n ** 64n));
  run(({both}) => both.increment(1));
  expect(subject.view.both).toBe(2n ** 64n + 1n);
});

test('[SCH33] registers keep what fits their schema: the latest, or every value that nobody has replaced', () => {
  const {subject, run} = subjectOf({one: lwwRegister(z.string().max(3)), all: mvRegister(z.int())});
  run(({one, all}) => {
    expect([one.values, all.values]).toEqual([[], []]);
    one.set('abc');
    all.set(1);
    expect([one.values, all.values]).toEqual([['abc'], [1]]);
  });
  expect(codeOf(() => run(({one}) => one.set('abcd')))).toBe('invalid');
  expect(codeOf(() => run(({all}) => all.set(0.5)))).toBe('invalid');
  expect(subject.view).toEqual({one: 'abc', all: [1]});
});

test('[SCH34] what a schema makes of a value is what is kept', () => {
  const {subject} = subjectOf({name: lwwRegister(z.string().trim())});
  subject.patch({name: {set: '  tea '}});
  expect(subject.view.name).toBe('tea');
});

test('[SCH35] a set takes what fits, and lets go of anything', () => {
  const {subject, run} = subjectOf({tags: awSet(z.string().max(3))});
  run(({tags}) => {
    tags.add('a');
    tags.add('b');
    tags.remove('a');
    expect([tags.has('a'), tags.has('b')]).toEqual([false, true]);
  });
  expect(codeOf(() => run(({tags}) => tags.add('long')))).toBe('invalid');
  expect(run(({tags}) => tags.remove('much too long'))).toBe(undefined);
  expect(subject.view.tags).toEqual(['b']);
});

test('[SCH36] in one patch of a set, what is added stays although the patch removes it too', () => {
  const {subject} = subjectOf({tags: awSet(z.string())});
  subject.patch({tags: {add: ['a', 'b']}});
  subject.patch({tags: {remove: ['a', 'b'], add: ['a']}});
  expect(subject.view.tags).toEqual(['a']);
});

test('[SCH37] maps nest, read their own writes, and forget a key with all that was in it', () => {
  const {subject, run} = subjectOf({shelves: orMap(z.string().max(8), orMap(z.string(), pnCounter()))});
  run(({shelves}) => {
    shelves.at('left').at('top').increment(2);
    expect(shelves.at('left').at('top').value).toBe(2);
    expect([shelves.has('left'), shelves.has('right')]).toEqual([true, false]);
  });
  subject.patch({shelves: {left: {top: {increment: 1}, bottom: {increment: 5}}, right: {top: {increment: 1}}}});
  expect(subject.view.shelves).toEqual({left: {top: 3, bottom: 5}, right: {top: 1}});
  subject.patch({shelves: {left: null, right: {top: null}}});
  expect(subject.view.shelves).toEqual({right: {}});
  subject.patch({shelves: {left: {top: {increment: 1}}}});
  expect(subject.view.shelves.left).toEqual({top: 1});
  expect(codeOf(() => run(({shelves}) => shelves.at('far too long')))).toBe('invalid');
});

test('[SCH38] a map holds keys like constructor as keys, and none that no body can name', () => {
  const {subject, run} = subjectOf({counts: orMap(z.string(), pnCounter())});
  subject.patch({counts: {constructor: {increment: 1}, toString: {increment: 2}}});
  expect({...subject.view.counts}).toEqual({constructor: 1, toString: 2});
  expect(Object.getPrototypeOf(subject.view.counts)).toBe(null);
  expect(codeOf(() => run(({counts}) => counts.at('__proto__')))).toBe('invalid');
  subject.patch({counts: JSON.parse('{"__proto__": {"increment": 1}}') as unknown});
  expect(Object.keys(subject.view.counts)).toEqual(['constructor', 'toString']);
});

test('[SCH39] two regions that wrote at once: a register of many shows both values, counters the sum', () => {
  const type = entityType('thing', {fields: {all: mvRegister(z.int()), both: pnCounter()}});
  const {document} = [1, 2].reduce((subject, value) => {
    const head = {replica: IDS[value]!, counter: 1, time: {ms: value, logical: 0}};
    const draft = new Draft(type.shape, new Subject(type).document, head);
    draft.write('both', counters.increment(counters.pnCounter.empty, head.replica, value));
    const cell = {
      path: 'all',
      author: draft,
      state: () => draft.state('all'),
      write: (delta: never) => draft.write('all', delta),
    };
    type.fields.all.editor(cell as never).set(value);
    subject.document = join(type.shape, subject.document, documentOf(draft.finish()!));
    return subject;
  }, new Subject(type));
  const subject = new Subject(type);
  subject.document = document;
  expect(subject.view).toEqual({all: [1, 2], both: 3});
  subject.patch({all: {set: 3}});
  expect(subject.view.all).toEqual([3]);
});

test('[SCH60] flags are off at first, are set by patches, and read their own writes', () => {
  const {subject, run} = subjectOf({typing: ewFlag(), consent: dwFlag()});
  expect(subject.view).toEqual({typing: false, consent: false});
  run(({typing, consent}) => {
    typing.enable();
    consent.enable();
    expect([typing.value, consent.value]).toEqual([true, true]);
    typing.disable();
    expect(typing.value).toBe(false);
  });
  expect(subject.view).toEqual({typing: false, consent: true});
  subject.patch({typing: {set: true}, consent: {set: false}});
  expect(subject.view).toEqual({typing: true, consent: false});
  expect(codeOf(() => subject.patch({typing: {set: 'yes'}}))).toBe('invalid');
});

test('[SCH61] a grow-only set takes what fits, lets go of nothing, and no map can hold it', () => {
  const {subject, run} = subjectOf({coupons: gSet(z.string().max(6))});
  subject.patch({coupons: {add: ['SUMMER', 'SPRING']}});
  expect(subject.patch({coupons: {add: ['SPRING']}})).toBe(undefined);
  run(({coupons}) => expect([coupons.has('SPRING'), coupons.has('WINTER')]).toEqual([true, false]));
  expect(subject.view.coupons).toEqual(['SPRING', 'SUMMER']);
  expect(codeOf(() => subject.patch({coupons: {remove: ['SPRING']}}))).toBe('invalid');
  expect(codeOf(() => run(({coupons}) => coupons.add('far too long')))).toBe('invalid');
  expect(() => orMap(z.string(), gSet(z.string()))).toThrow(/no map can hold it/);
});

test.each([
  ['remove-wins', rwSet],
  ['last-writer-wins', lwwElementSet],
] as const)('[SCH62] a %s set is edited like any other', (_, setField) => {
  const {subject, run} = subjectOf({banned: setField(z.string().max(3))});
  run(({banned}) => {
    banned.add('ann');
    banned.add('bob');
    banned.remove('ann');
    expect([banned.has('ann'), banned.has('bob'), banned.has('eve')]).toEqual([false, true, false]);
  });
  subject.patch({banned: {remove: ['bob', 'eve'], add: ['eve']}});
  expect(subject.view.banned).toEqual(['eve']);
  expect(codeOf(() => run(({banned}) => banned.add('long')))).toBe('invalid');
});

test('[SCH63] a resettable counter is counted and reset, and counts on from zero', () => {
  const {subject, run} = subjectOf({visitors: resettableCounter()});
  subject.patch({visitors: {increment: 5}});
  subject.patch({visitors: {decrement: 1}});
  run(({visitors}) => {
    visitors.reset();
    visitors.increment(2);
    expect(visitors.value).toBe(2);
  });
  expect(subject.view.visitors).toBe(2);
  subject.patch({visitors: {reset: true}});
  expect(subject.view.visitors).toBe(0);
  expect(subject.patch({visitors: {reset: true}})).toBe(undefined);
  expect(codeOf(() => subject.patch({visitors: {reset: false}}))).toBe('invalid');
});

test('[SCH64] a counter with a maximum rises as far as was provisioned, which is never above it', () => {
  const {subject, run} = subjectOf({seats: boundedCounter({min: 2, max: 10})});
  expect(subject.view.seats).toBe(2);
  expect(codeOf(() => subject.patch({seats: {increment: 1}}))).toBe('insufficient-capacity');
  subject.patch({seats: {provision: 5}});
  expect(codeOf(() => subject.patch({seats: {provision: 4}}))).toBe('out-of-range');
  run(({seats}) => {
    seats.increment(5);
    expect([seats.value, seats.capacity]).toEqual([7, 7]);
  });
  const refusal = refusalOf(() => run(({seats}) => seats.increment(1)));
  expect(refusal).toMatchObject({code: 'insufficient-capacity', facts: {field: 'seats', asked: 1, here: 0, known: 0}});
  subject.patch({seats: {provision: 3}});
  run(({seats}) => seats.increment(3));
  expect(subject.view.seats).toBe(10);
  run(({seats}) => seats.decrement(8));
  expect(codeOf(() => run(({seats}) => seats.decrement(1)))).toBe('insufficient-stock');
  expect(subject.view.seats).toBe(2);
  expect(() => boundedCounter({min: 2, max: 1})).toThrow(/no counter is between/);
  expect(() => orMap(z.string(), boundedCounter({min: 0, max: 1}))).toThrow(/no map can hold it/);
});

test('[SCH65] a remove-wins map forgets a key, starts it anew, and nests with the other map', () => {
  const {subject, run} = subjectOf({accounts: rwMap(z.string().max(8), orMap(z.string(), pnCounter()))});
  run(({accounts}) => {
    accounts.at('ann').at('eur').increment(2);
    accounts.at('ann').at('usd').increment(1);
    expect([accounts.has('ann'), accounts.at('ann').at('eur').value]).toEqual([true, 2]);
    accounts.remove('ann');
    expect([accounts.has('ann'), accounts.at('ann').has('eur')]).toEqual([false, false]);
  });
  expect(subject.view.accounts).toEqual({});
  subject.patch({accounts: {ann: {eur: {increment: 3}}, bob: {eur: {increment: 1}}}});
  subject.patch({accounts: {bob: null}});
  expect(subject.view.accounts).toEqual({ann: {eur: 3}});
  expect(codeOf(() => run(({accounts}) => accounts.at('far too long')))).toBe('invalid');
  expect(() => rwMap(z.string(), gSet(z.string()))).toThrow(/no map can hold it/);
});

test('[SCH67] a list is edited by place, and refuses places that it does not have', () => {
  const {subject, run} = subjectOf({tasks: list(z.string().max(5)), boards: orMap(z.string(), list(z.int()))});
  run(({tasks}) => {
    tasks.insert(0, 'a', 'b', 'c');
    tasks.move(2, 0);
    expect([tasks.length, tasks.values]).toEqual([3, ['c', 'a', 'b']]);
  });
  subject.patch({tasks: {remove: {at: 1}}, boards: {x: {insert: {at: 0, values: [1, 2]}}}});
  subject.patch({tasks: {move: {from: 0, to: 1}}, boards: {x: {remove: {at: 0, count: 1}}}});
  expect(subject.view).toEqual({tasks: ['b', 'c'], boards: {x: [2]}});
  expect(codeOf(() => subject.patch({tasks: {insert: {at: 3, values: ['x']}}}))).toBe('out-of-range');
  expect(codeOf(() => subject.patch({tasks: {move: {from: 0, to: 2}}}))).toBe('out-of-range');
  expect(codeOf(() => run(({tasks}) => tasks.insert(0, 'too long')))).toBe('invalid');
  expect(subject.view.tasks).toEqual(['b', 'c']);
});
