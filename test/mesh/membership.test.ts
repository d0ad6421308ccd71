import {expect, test} from 'vitest';
import * as awSet from '../../crdt/aw-set.ts';
import {documentOf, EMPTY_DOCUMENT, join} from '../../crdt/document.ts';
import {Draft} from '../../crdt/draft.ts';
import {memberElement, MEMBERS, members, withMembers} from '../../mesh/membership.ts';
import {IDS} from '../support/mesh-arbitraries.ts';

const [EU, US] = IDS;
const shape = withMembers(new Map());

const with_ = (...elements: readonly string[]) =>
  elements.reduce((document, element, index) => {
    const draft = new Draft(shape, document, {replica: EU, counter: index + 1, time: {ms: 1, logical: 0}});
    draft.write(MEMBERS, awSet.add(draft.state(MEMBERS), draft, element));
    return join(shape, document, documentOf(draft.finish()!));
  }, EMPTY_DOCUMENT);

test('[MEM1] members are part of the state, so whoever has the state knows them', () => {
  const both = [
    {region: 'apac-ne', replica: US},
    {region: 'weur', replica: EU},
  ];
  expect(members(with_(...both.map(memberElement)))).toEqual(both);
  expect(members(EMPTY_DOCUMENT)).toEqual([]);
});

test('[MEM2] two replicas of one region, one after the other, are two members', () => {
  const twice = [EU, US].map(replica => ({region: 'weur', replica}));
  expect(members(with_(...twice.map(memberElement)))).toEqual(twice);
});

test('[MEM3] what is no member is passed over', () => {
  const elements = [
    '',
    'weur',
    `weur ${EU.slice(1)}`,
    ` ${EU}`,
    'weur ABCDEFABCDEFABCD',
    memberElement({region: 'enam', replica: US}),
  ];
  expect(members(with_(...elements))).toEqual([{region: 'enam', replica: US}]);
});

test('[MEM4] no field that an entity type defines is in the way of the members', () => {
  expect([...withMembers(new Map([['name', awSet.awSet]])).keys()]).toEqual(['name', MEMBERS]);
});
