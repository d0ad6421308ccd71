// What every type owes to the documents that hold it.
import fc from 'fast-check';
import {expect, test} from 'vitest';
import * as awSet from '../../crdt/aw-set.ts';
import * as bounded from '../../crdt/bounded-counter.ts';
import {DecodeError, fromHex, toHex} from '../../crdt/bytes.ts';
import * as capped from '../../crdt/capped-counter.ts';
import {decodePart, encodePart, fieldState} from '../../crdt/document.ts';
import type {Draft} from '../../crdt/draft.ts';
import * as maps from '../../crdt/or-map.ts';
import * as counters from '../../crdt/pn-counter.ts';
import {Replica} from '../../crdt/replica.ts';
import {only, play, scriptOf} from '../support/crdt-scripts.ts';
import {ALL_SUBJECTS, MORE_SUBJECTS, REPLICAS} from '../support/subjects.ts';

const [EU, US, AP] = REPLICAS;
const SUBJECTS = [...ALL_SUBJECTS, ...MORE_SUBJECTS];

test.each(SUBJECTS)('[DOC3] a state is empty exactly when nothing of it is written: field %s', (_, subject) => {
  const {type} = subject;
  const nothing = toHex(encodePart(type, type.empty));
  expect(type.isEmpty(type.empty)).toBe(true);
  expect([...type.parts(type.empty), ...type.pieces(type.empty), ...type.tags(type.empty)]).toEqual([]);
  const property = fc.property(scriptOf(only(subject), 8), script => {
    for (const document of play(only(subject), script).documents) {
      const state: unknown = fieldState(document, 'field', type);
      expect(type.isEmpty(state)).toBe(toHex(encodePart(type, state)) === nothing);
      expect(document.fields.has('field')).toBe(!type.isEmpty(state));
    }
  });
  fc.assert(property, {numRuns: 100});
});

test('[DOC3] a field from which everything was removed is not there', () => {
  const bins = maps.orMap(awSet.awSet);
  const replica = new Replica(
    new Map<string, typeof bins | typeof awSet.awSet>([
      ['tags', awSet.awSet],
      ['bins', bins],
    ]),
    {id: EU, now: () => 1},
  );
  replica.edit(draft => draft.write('tags', awSet.add(draft.state('tags'), draft, 'a')));
  replica.edit(draft =>
    draft.write(
      'bins',
      maps.update(awSet.awSet, draft.state('bins'), draft, 'k', held => awSet.add(held, draft, 'a')),
    ),
  );
  expect([...replica.document.fields.keys()].sort()).toEqual(['bins', 'tags']);
  replica.edit(draft => draft.write('tags', awSet.remove(draft.state('tags'), 'a')));
  expect([...replica.document.fields.keys()]).toEqual(['bins']);
  replica.edit(draft => draft.write('bins', maps.remove(awSet.awSet, draft.state('bins'), 'k')));
  expect(replica.document.fields.size).toBe(0);
});

test.each([
  ['an element without tags', awSet.awSet, `00 01 0161 04`],
  ['an empty slot', maps.orMap(counters.pnCounter), '00 00 01 016b 00'],
  ['a slot that is neither whole nor partial', maps.orMap(counters.pnCounter), `01${EU} 02 01 016b 02 0105`],
  ['a whole slot in a whole state', maps.orMap(counters.pnCounter), `01${EU} 02 01 016b 01 0105`],
  ['slots said to have tags where none has', maps.orMap(counters.pnCounter), `01${EU} 01 01 016b 04 0105`],
] as const)('[COD3] bytes that no state has are refused: %s', (_, type, hex) => {
  expect(() => decodePart(type, fromHex(hex.replaceAll(' ', '')))).toThrow(DecodeError);
});

test.each(SUBJECTS)('[TYP1] touching places again leaves them identical: field %s', (_, subject) => {
  const {type} = subject;
  const property = fc.property(scriptOf(only(subject), 8), script => {
    for (const event of play(only(subject), script).events) {
      const delta: unknown = event?.delta.fields.get('field');
      if (delta !== undefined) expect(type.touch(delta, delta)).toBe(delta);
    }
  });
  fc.assert(property, {numRuns: 100});
});

test('[TYP1] an event that passes on rights of one kind twice says so twice', () => {
  const {cappedCounter: type} = capped;
  for (const transfer of [capped.transferStock, capped.transferRoom]) {
    const [eu, us] = [EU, US].map(id => new Replica(new Map([['seats', type]]), {id, now: () => 1})) as [
      Replica,
      Replica,
    ];
    const write = (draft: Draft, change: (seats: capped.CappedCounter) => capped.CappedCounter) =>
      draft.write('seats', change(draft.state('seats')));
    eu.edit(draft => {
      write(draft, seats => capped.provision(seats, EU, 9));
      write(draft, seats => capped.increment(seats, EU, 4));
    });
    us.receive(eu.snapshot());
    eu.edit(draft => {
      write(draft, seats => transfer(seats, EU, US, 1));
      write(draft, seats => transfer(seats, EU, AP, 2));
    });
    us.receive(eu.changesSince(us.version));
    expect(us.snapshot()).toEqual(eu.snapshot());
  }
});

test('[SIZE1] what is passed on costs its own cell, and not what the giver has used up', () => {
  const {boundedCounter: type} = bounded;
  const replica = new Replica(new Map([['stock', type]]), {id: EU, now: () => 1});
  const write = (change: (stock: bounded.BoundedCounter) => bounded.BoundedCounter) =>
    replica.edit(draft => draft.write('stock', change(draft.state('stock'))));
  write(stock => bounded.increment(stock, EU, 2 ** 50));
  write(stock => bounded.decrement(stock, EU, 2 ** 49));
  replica.flush();
  write(stock => bounded.transfer(stock, EU, US, 1));
  const row = (replica.takeDelta()!.fields.get('stock') as bounded.BoundedCounter).get(EU)!;
  expect([[...row.given], row.used]).toEqual([[[US, 1]], 0]);
});
