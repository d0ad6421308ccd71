import fc from 'fast-check';
import {expect, test} from 'vitest';
import type {ReplicaId} from '../../crdt/dot.ts';
import {type Exact, plus, sum} from '../../crdt/exact.ts';
import {granted, LOW_WATER_SHARE, requests} from '../../mesh/escrow.ts';
import {IDS} from '../support/mesh-arbitraries.ts';

const [EU, US, AP] = IDS;
const exact = (value: bigint): Exact => plus(value, 0);
const amount = fc
  .oneof({weight: 4, arbitrary: fc.bigInt({min: 0n, max: 12n})}, fc.bigInt({min: 2n ** 52n, max: 2n ** 70n}))
  .map(exact);
const rights = fc
  .array(fc.tuple(fc.constantFrom(...IDS), amount), {maxLength: 3})
  .map(pairs => new Map<ReplicaId, Exact>(pairs));
const held = (table: ReadonlyMap<ReplicaId, Exact>, holder: ReplicaId): Exact => table.get(holder) ?? 0;

test('[ESC1] a grant is never more than what is held, and never less than nothing', () => {
  const property = fc.property(amount, amount, amount, (holds, needed, wanted) => {
    const passed = granted(holds, {needed, wanted});
    expect(passed >= 0 && passed <= holds).toBe(true);
    expect(passed).toBe(plus(passed, 0)); // In the one form that exact numbers have.
  });
  fc.assert(property, {numRuns: 2000});
});

test('[ESC2] a need is granted in full if it is there; for a wish at most half is given away', () => {
  const property = fc.property(amount, amount, amount, (holds, needed, wanted) => {
    const passed = BigInt(granted(holds, {needed, wanted}));
    if (needed <= holds) expect(passed >= BigInt(needed)).toBe(true);
    if (needed === 0) expect(passed <= BigInt(holds) / 2n).toBe(true);
    const most = [BigInt(needed), BigInt(wanted)].reduce((a, b) => (a > b ? a : b));
    expect(passed <= most).toBe(true);
  });
  fc.assert(property, {numRuns: 2000});
  expect(granted(9, {needed: 0, wanted: 9})).toBe(4);
  expect(granted(9, {needed: 9, wanted: 0})).toBe(9);
  expect(granted(9, {needed: 20, wanted: 0})).toBe(9);
});

test('[ESC3] the richest are asked first, for no more than they are known to hold, and never oneself', () => {
  const property = fc.property(rights, amount, (table, needed) => {
    const asked = requests(table, EU, needed);
    const amounts = asked.map(({donor}) => BigInt(held(table, donor)));
    expect(amounts).toEqual([...amounts].sort((a, b) => (a > b ? -1 : 1)));
    for (const {donor, needed: part, wanted} of asked) {
      expect(donor).not.toBe(EU);
      expect(held(table, donor) > 0 && part <= held(table, donor)).toBe(true);
      expect(part > 0 || wanted > 0).toBe(true);
    }
    expect(new Set(asked.map(({donor}) => donor)).size).toBe(asked.length);
  });
  fc.assert(property, {numRuns: 2000});
});

test('[ESC4] what a command lacks is asked for exactly, of as few as have it, however large the numbers', () => {
  const property = fc.property(rights, amount, (table, needed) => {
    const elsewhere = sum([...table].filter(([holder]) => holder !== EU).map(([, holds]) => holds));
    const asked = requests(table, EU, needed);
    const parts = sum(asked.map(request => request.needed));
    expect(parts).toBe(needed <= elsewhere ? needed : 0);
    const fewer = sum(asked.slice(0, -1).map(request => held(table, request.donor)));
    if (asked.length > 1) expect(fewer < needed).toBe(true);
  });
  fc.assert(property, {numRuns: 2000});
});

test('[ESC5] what all the others together do not have is asked of nobody', () => {
  const table = new Map([
    [EU, 6],
    [US, 5],
    [AP, 3],
  ]);
  expect(requests(table, EU, 8)).toEqual([
    {donor: US, needed: 5, wanted: 0},
    {donor: AP, needed: 3, wanted: 0},
  ]);
  expect(requests(table, EU, 9)).toEqual([]);
  expect(requests(new Map([[US, 8]]), EU, 9)).toEqual([{donor: US, needed: 0, wanted: 4}]);
});

test('[ESC6] rights are topped up to a fair part once fewer than a share of it is left, and not before', () => {
  const table = (mine: number) =>
    new Map([
      [EU, mine],
      [US, 40 - mine],
    ]);
  expect(requests(table(20 / LOW_WATER_SHARE), EU, 0)).toEqual([]);
  expect(requests(table(20 / LOW_WATER_SHARE - 1), EU, 0)).toEqual([{donor: US, needed: 0, wanted: 16}]);
});

test('[ESC7] where nobody holds anything, nobody is asked', () => {
  expect(requests(new Map(), EU, 3)).toEqual([]);
  expect(requests(new Map([[EU, 5]]), EU, 3)).toEqual([]);
  expect(requests(new Map([[EU, 0], [US, 0]]), EU, 3)).toEqual([]); // prettier-ignore
});

test('[ESC8] equally rich donors are asked in one order, the same everywhere', () => {
  const one = new Map([[AP, 4], [US, 4]]); // prettier-ignore
  const other = new Map([[US, 4], [AP, 4]]); // prettier-ignore
  expect(requests(one, EU, 6)).toEqual(requests(other, EU, 6));
});
