import fc from 'fast-check';
import {expect, test} from 'vitest';
import * as awSet from '../../crdt/aw-set.ts';
import * as counters from '../../crdt/pn-counter.ts';
import {type Document, documentOf, EMPTY_DOCUMENT, encodeState, join} from '../../crdt/document.ts';
import {toHex} from '../../crdt/bytes.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import {Draft} from '../../crdt/draft.ts';
import {counterOf} from '../../crdt/version-vector.ts';
import {
  dropMember,
  epochOf,
  heirOf,
  isGone,
  isLive,
  type Member,
  memberElement,
  type Members,
  MEMBERS,
  members,
  type Role,
  ROLES,
  setRole,
  withMembers,
} from '../../mesh/membership.ts';
import {withoutForgotten} from '../../mesh/minting.ts';
import {deepFreeze} from '../support/deep-freeze.ts';
import {IDS} from '../support/mesh-arbitraries.ts';

const [EU, US, AP] = IDS;
const SHAPE = withMembers(new Map([['count', counters.pnCounter]]));

/** A document after one more event of `replica`. */
function after(document: Document, replica: ReplicaId, write: (draft: Draft) => void): Document {
  const counter = counterOf(document.vector, replica) + 1;
  const draft = new Draft(SHAPE, document, {replica, counter, time: {ms: counter, logical: 0}});
  write(draft);
  const delta = draft.finish();
  return delta ? join(SHAPE, document, documentOf(delta)) : document;
}

const holding = (...elements: readonly string[]): Document =>
  elements.reduce(
    (document, element) =>
      after(document, EU, draft => draft.write(MEMBERS, awSet.add(draft.state(MEMBERS), draft, element))),
    EMPTY_DOCUMENT,
  );

const member = (replica: ReplicaId, region: string, role: Role = 'member', epoch = 1, heir?: ReplicaId): Member => ({
  region,
  replica,
  role,
  epoch,
  heir,
});
const table = (...all: readonly Member[]): Members => new Map(all.map(one => [one.replica, one]));

test('[MEM1] members are part of the state, so whoever has the state knows them', () => {
  const all = [member(US, 'apac-ne', 'lost', 7, EU), member(EU, 'weur', 'learner')];
  expect(members(holding(...all.map(memberElement)))).toEqual(table(...all));
  expect(members(EMPTY_DOCUMENT)).toEqual(new Map());
  const property = fc.property(
    fc.constantFrom(...ROLES),
    fc.integer({min: 1}),
    fc.option(fc.constantFrom(...IDS), {nil: undefined}),
    (role, epoch, heir) => {
      const one = member(US, 'enam', role, epoch, heir);
      expect(members(holding(memberElement(one)))).toEqual(table(one));
    },
  );
  fc.assert(property);
});

test('[MEM2] two replicas of one region, one after the other, are two members', () => {
  const twice = [EU, US].map(replica => member(replica, 'weur'));
  expect(members(holding(...twice.map(memberElement)))).toEqual(table(...twice));
});

test('[MEM3] what is no member is passed over, be it older, newer or of no form at all', () => {
  const us = member(US, 'enam');
  const elements = [
    '',
    'weur',
    `weur ${EU}`, // Before there were roles.
    `weur ${EU.slice(1)} member 1`,
    ` ${EU} member 1`,
    'weur ABCDEFABCDEFABCD member 1',
    `weur ${EU} chief 1`,
    `weur ${EU} member 0`,
    `weur ${EU} member 1.5`,
    `weur ${EU} member many`,
    `weur ${EU} member`,
    `weur ${EU} member  `,
    `weur ${EU} left 1 nobody`,
    `weur ${EU} left 1 ${US} more`,
    memberElement(us),
  ];
  expect(members(holding(...elements))).toEqual(table(us));
  // None of them may be dropped on the way: they are part of the state, for whoever understands them.
  expect(awSet.elements(holding(...elements).fields.get(MEMBERS) as awSet.AWSet).length).toBe(elements.length);
});

test('[MEM4] no field that an entity type defines is in the way of the members', () => {
  expect([...withMembers(new Map([['name', awSet.awSet]])).keys()]).toEqual(['name', MEMBERS]);
});

type Change = {
  readonly by: ReplicaId;
  readonly of: ReplicaId;
  readonly role: Role;
  readonly heir?: ReplicaId | undefined;
};
const change = fc.record({
  by: fc.constantFrom(...IDS),
  of: fc.constantFrom(...IDS),
  role: fc.constantFrom(...ROLES),
  heir: fc.option(fc.constantFrom(...IDS), {nil: undefined}),
  hears: fc.option(fc.constantFrom(...IDS), {nil: undefined}),
});

/** Only forward: nobody gives a role that is before the one it sees. */
function changed(document: Document, {by, of, role, heir}: Change): Document {
  const all = members(document);
  const before = all.get(of);
  if (before && ROLES.indexOf(role) <= ROLES.indexOf(before.role)) return document;
  return after(document, by, draft => setRole(draft, {replica: of, region: 'weur', role, heir}, epochOf(all) + 1));
}

test('[MEM5] roles only go forward, whatever the order of concurrent changes, and all who joined them agree', () => {
  const property = fc.property(fc.array(change, {maxLength: 14}), script => {
    const states = new Map<ReplicaId, Document>(IDS.map(id => [id, EMPTY_DOCUMENT]));
    for (const step of script) {
      const own = states.get(step.by)!;
      const heard = step.hears ? join(SHAPE, own, states.get(step.hears)!) : own;
      const next = changed(deepFreeze(heard), step);
      for (const [replica, {role, epoch}] of members(own)) {
        const now = members(next).get(replica)!;
        expect(ROLES.indexOf(now.role)).toBeGreaterThanOrEqual(ROLES.indexOf(role));
        if (now.role === role) expect(now.epoch).toBeGreaterThanOrEqual(epoch);
      }
      expect(epochOf(members(next))).toBeGreaterThanOrEqual(epochOf(members(own)));
      states.set(step.by, next);
    }
    const all = [...states.values()];
    const joined = [all, [...all].reverse()].map(some => some.reduce((a, b) => join(SHAPE, a, b)));
    expect(members(joined[0]!)).toEqual(members(joined[1]!));
    expect(toHex(encodeState(SHAPE, joined[0]!))).toBe(toHex(encodeState(SHAPE, joined[1]!)));
    for (const state of all)
      for (const [replica, {role}] of members(state))
        expect(ROLES.indexOf(members(joined[0]!).get(replica)!.role)).toBeGreaterThanOrEqual(ROLES.indexOf(role));
  });
  fc.assert(property, {numRuns: 500});
});

test('[MEM6] of two that say the same of a replica, the later epoch counts, and then the heir that comes first', () => {
  const [first, later] = [member(AP, 'weur', 'lost', 2, EU), member(AP, 'weur', 'lost', 3, US)];
  const rival = member(AP, 'weur', 'lost', 3, EU);
  const orders = (...all: Member[]) =>
    [all, [...all].reverse()].map(some => members(holding(...some.map(memberElement))));
  for (const found of orders(first, later)) expect(found).toEqual(table(later));
  for (const found of orders(later, rival)) expect(found).toEqual(table(rival)); // EU comes before US.
  // A role that is further on counts, and is of the later epoch of the two: epochs do not go back either.
  const silent = member(AP, 'weur', 'silent', 9);
  for (const found of orders(first, silent)) expect(found).toEqual(table({...first, epoch: 9}));
});

test('[MEM7] an heir is followed to the last that is known, and in no circle for ever', () => {
  const all = table(member(EU, 'weur', 'left', 2, US), member(US, 'enam', 'left', 3, AP), member(AP, 'apac'));
  expect(IDS.map(id => heirOf(all, id))).toEqual([AP, AP, AP]);
  const unknown = 'dddddddddddddddd' as ReplicaId;
  expect(heirOf(all, unknown)).toBe(unknown);
  expect(heirOf(table(member(EU, 'weur', 'left', 2, unknown)), EU)).toBe(unknown);
  const circle = table(member(EU, 'weur', 'lost', 2, US), member(US, 'enam', 'lost', 2, EU));
  expect(IDS).toContain(heirOf(circle, EU));
  expect(heirOf(table(member(EU, 'weur', 'lost', 2, EU)), EU)).toBe(EU);
});

test('[MEM8] every change of the members is a new epoch, and a member that is dropped takes none back', () => {
  let document = holding(memberElement(member(EU, 'weur')));
  for (const [at, role] of (['silent', 'lost', 'left'] as const).entries()) {
    document = changed(document, {by: EU, of: US, role});
    expect(epochOf(members(document))).toBe(at + 2);
    // One element for each replica, or the set would grow with every change.
    expect(awSet.elements(document.fields.get(MEMBERS) as awSet.AWSet).length).toBe(2);
  }
  expect(epochOf(new Map())).toBe(0);
  expect(members(after(document, EU, draft => dropMember(draft, US)))).toEqual(table(member(EU, 'weur')));
});

test('[MEM9] each role either mints events, or is gone, or may still have some that nobody else has', () => {
  const of = (test_: (one: Member) => boolean) => ROLES.filter(role => test_(member(EU, 'weur', role)));
  expect(of(isLive)).toEqual(['learner', 'member']);
  expect(of(isGone)).toEqual(['left', 'folded']);
});

test('[MEM10] a vector names members only, and the same ones whoever drops the others first', () => {
  const property = fc.property(
    fc.array(change, {maxLength: 10}),
    fc.uniqueArray(fc.constantFrom(...IDS)),
    (script, out) => {
      const document = script.reduce(changed, holding(...IDS.map(id => memberElement(member(id, 'weur')))));
      const counted = IDS.reduce(
        (state, id) =>
          after(state, id, draft => draft.write('count', counters.increment(draft.state('count'), draft.replica, 2))),
        document,
      );
      const dropped = after(counted, AP, draft => out.forEach(id => dropMember(draft, id)));
      const kept = withoutForgotten(SHAPE, deepFreeze(dropped));
      const all = members(kept);
      if (all.size > 0) expect([...kept.vector.keys()].filter(id => !all.has(id))).toEqual([]);
      for (const [id, counter] of kept.vector) expect(counter).toBe(counterOf(dropped.vector, id));
      expect(withoutForgotten(SHAPE, kept)).toEqual(kept);
      // Its heir counts for one that is folded, so its own cells are nobody's, and stay so once nobody knows it any more.
      const counting = [...members(dropped).values()].filter(({role}) => role !== 'folded').length;
      const expected = members(dropped).size === 0 ? IDS.length : counting;
      expect(counters.value((kept.fields.get('count') ?? new Map()) as counters.PNCounter)).toBe(2 * expected);
    },
  );
  fc.assert(property, {numRuns: 300});
});
