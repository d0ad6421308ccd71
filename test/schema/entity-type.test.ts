import {expect, test} from 'vitest';
import * as z from 'zod';
import {EMPTY_DOCUMENT} from '../../crdt/document.ts';
import {MEMBERS} from '../../mesh/membership.ts';
import {deviceController} from '../../schema/entities/device-controller.ts';
import {inventoryItem} from '../../schema/entities/inventory-item.ts';
import {entityType, OPERATIONS_MAX} from '../../schema/entity-type.ts';
import {awSet, boundedCounter, lwwRegister, orMap, pnCounter} from '../../schema/fields.ts';
import {codeOf, refusalOf, Subject} from '../support/schema-arbitraries.ts';

const text = lwwRegister(z.string());
const define =
  (name: string, internal = false) =>
  () =>
    entityType(name, {fields: {name: text}, internal});

test.each(['', 'Item', '1item', 'it em', 'item/x', '$item', '__proto__', 'policy', 'ítem', 'x'.repeat(65)])(
  '[SCH10] a type whose name no path could carry is refused when it is defined: %j',
  name => {
    expect(define(name)).toThrow(/not a name for an entity type/);
  },
);

test('[SCH10] names up to their limit are taken', () => {
  expect(define('x'.repeat(64))().name.length).toBe(64);
  expect(define('device-controller-2')().name).toBe('device-controller-2');
});

test('[SCH11] the platform’s own types have names that no client’s type can have', () => {
  expect(define('$tenant', true)().name).toBe('$tenant');
  for (const name of ['tenant', '$', '$Tenant', '$a-b']) expect(define(name, true)).toThrow();
});

test.each(['', 'Name', '$members', '__proto__', 'a-b', 'a b', 'naïve', 'x'.repeat(65)])(
  '[SCH12] a field or command with a name that no path could carry is refused when it is defined: %j',
  member => {
    const fields = Object.fromEntries([[member, text]]);
    expect(() => entityType('item', {fields})).toThrow(/not a name for a field or command/);
    const commands = () => Object.fromEntries([[member, {input: z.unknown(), run() {}}]]);
    expect(() => entityType('item', {fields: {}, commands})).toThrow(/not a name for a field or command/);
  },
);

test('[SCH12] nor is a command named as generic edits are', () => {
  const commands = () => ({patch: {input: z.unknown(), run() {}}});
  expect(() => entityType('item', {fields: {}, commands})).toThrow(/cannot be named patch/);
});

test('[SCH13] a map cannot hold what cannot be taken back, in no depth', () => {
  expect(() => orMap(z.string(), boundedCounter({min: 0}))).toThrow(/no map can hold it/);
  expect(() => orMap(z.string(), orMap(z.string(), boundedCounter({min: 0})))).toThrow(/no map can hold it/);
  expect(() => orMap(z.string(), orMap(z.string(), pnCounter()))).not.toThrow();
});

test('[SCH14] every type has its members among its fields, where no field of its own can be', () => {
  expect(inventoryItem.shape.has(MEMBERS)).toBe(true);
  expect([...inventoryItem.shape.keys()].filter(name => name !== MEMBERS)).toEqual(Object.keys(inventoryItem.fields));
});

test('[SCH15] a command that is not there is refused by name, whatever Object.prototype has', () => {
  const subject = new Subject(inventoryItem);
  for (const name of ['sell', 'toString', 'constructor', '__proto__'])
    expect(refusalOf(() => subject.command(name, {}))).toMatchObject({
      code: 'unknown-command',
      facts: {known: Object.keys(inventoryItem.commands)},
    });
});

test.each([
  ['receive', undefined],
  ['receive', null],
  ['receive', {}],
  ['receive', {quantity: 0}],
  ['receive', {quantity: -1}],
  ['receive', {quantity: 1.5}],
  ['receive', {quantity: '1'}],
  ['receive', {quantity: 2 ** 53}],
  ['receive', {quantity: NaN}],
  ['receive', {quantity: 1, more: 1}],
  ['adjust', {by: 0}],
])('[SCH16] an input that does not fit is refused, and nothing of it is done: %s %j', (name, input) => {
  const subject = new Subject(inventoryItem);
  const refusal = refusalOf(() => subject.command(name, input));
  expect(refusal).toMatchObject({code: 'invalid'});
  expect((refusal!.facts.issues as unknown[]).length).toBeGreaterThan(0);
  expect(subject.document).toBe(EMPTY_DOCUMENT);
});

test('[SCH17] a command is one event, however many fields it writes, and its refusal names the field that refused', () => {
  const subject = new Subject(inventoryItem);
  subject.command('receive', {quantity: 3});
  expect([...subject.command('reserve', {quantity: 2})!.fields.keys()].sort()).toEqual(['sold', 'stock']);
  expect(subject.view).toMatchObject({stock: 1, sold: 2});
  const before = subject.document;
  expect(refusalOf(() => subject.command('reserve', {quantity: 2}))).toMatchObject({
    code: 'insufficient-stock',
    facts: {field: 'stock', asked: 2, here: 1, known: 1},
  });
  expect(subject.document).toBe(before);
});

test('[SCH18] a command that changes nothing is no event', () => {
  const device = new Subject(deviceController);
  expect(device.command('acknowledge', {alarm: 'hot'})).toBe(undefined);
  expect(device.command('raise', {alarm: 'hot'})).not.toBe(undefined);
});

test('[SCH19] one command makes OPERATIONS_MAX changes and no more', () => {
  const ids = (count: number) => ({ids: Array.from({length: count}, (_, index) => `id-${index}`)});
  const board = entityType('board', {
    fields: {ids: awSet(z.string())},
    commands: command => ({
      post: command(z.object({ids: z.array(z.string())}), (item, input) => input.ids.forEach(id => item.ids.add(id))),
    }),
  });
  expect(new Subject(board).command('post', ids(OPERATIONS_MAX))).not.toBe(undefined);
  expect(codeOf(() => new Subject(board).command('post', ids(OPERATIONS_MAX + 1)))).toBe('entry-too-large');
  expect(codeOf(() => new Subject(board).patch({ids: {add: ids(OPERATIONS_MAX + 1).ids}}))).toBe('entry-too-large');
});

// Generic edits.

test('[SCH20] one patch edits many fields in one event', () => {
  const subject = new Subject(inventoryItem);
  const delta = subject.patch({
    name: {set: 'tea'},
    price: {set: 2.5},
    stock: {increment: 4},
    sold: {decrement: 1},
    tags: {add: ['green', 'loose'], remove: ['black']},
    bins: {a1: {increment: 2}},
  });
  expect(delta!.fields.size).toBe(6);
  expect(subject.view).toEqual({
    name: 'tea',
    price: [2.5],
    stock: 4,
    sold: -1,
    tags: ['green', 'loose'],
    bins: {a1: 2},
  });
});

test.each([
  ['no object', 3, 'invalid'],
  ['an array', [], 'invalid'],
  ['nothing', null, 'invalid'],
  ['a field that is not there', {colour: {set: 'red'}}, 'unknown-field'],
  ['the members', {[MEMBERS]: {add: ['weur a0a0a0a0a0a0a0a0']}}, 'unknown-field'],
  ['what Object.prototype has', {constructor: {set: 1}}, 'unknown-field'],
  ['an edit of another kind', {name: {increment: 1}}, 'invalid'],
  ['two edits in one', {sold: {increment: 1, decrement: 1}}, 'invalid'],
  ['a value that does not fit', {name: {set: 'x'.repeat(201)}}, 'invalid'],
  ['an amount below zero', {stock: {increment: -1}}, 'invalid'],
  ['an amount that is no whole number', {sold: {increment: 0.5}}, 'invalid'],
  ['more than is there', {stock: {decrement: 1}}, 'insufficient-stock'],
  ['a key that does not fit', {bins: {'': {increment: 1}}}, 'invalid'],
])('[SCH21] a patch with %s is refused, and nothing of it is done', (_what, edits, code) => {
  const subject = new Subject(inventoryItem);
  const sound = {tags: {add: ['green']}};
  const whole = typeof edits === 'object' && edits !== null && !Array.isArray(edits) ? {...sound, ...edits} : edits;
  expect(codeOf(() => subject.patch(whole))).toBe(code);
  expect(subject.document).toBe(EMPTY_DOCUMENT);
});

test('[SCH22] an empty patch, and edits that change nothing, are no event', () => {
  const subject = new Subject(inventoryItem);
  expect(subject.patch({})).toBe(undefined);
  expect(subject.patch({tags: {}, bins: {}, stock: {increment: 0}})).toBe(undefined);
});

test('[SCH23] a view shows every field, from before the first write on', () => {
  expect(new Subject(inventoryItem).view).toEqual({name: null, price: [], stock: 0, sold: 0, tags: [], bins: {}});
  expect(new Subject(deviceController).view).toEqual({setPoints: {}, mode: null, alarms: [], readings: 0});
});
