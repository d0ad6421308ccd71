import {expect, test} from 'vitest';
import {ID_CHARACTERS_MAX} from '../../residency/policy.ts';
import {PolicyDocument, policyOf, RULES_MAX, ZONES_MAX} from '../../schema/policy.ts';
import {parseJson} from '../../schema/json.ts';

const zone = {regions: ['weur'], grade: 'best-effort'};
const rule = {name: 'all', type: '*', zone: 'z'};
const document = {zones: {z: zone}, rules: [rule]};
const fits = (value: unknown): boolean => PolicyDocument.safeParse(value).success;
const many = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({length: count}, (_, index) => make(index));

test('[SCH50] a policy may leave out what has a default: all ids, and access to everything', () => {
  const parsed = PolicyDocument.parse(document);
  expect(policyOf(parsed, 3)).toEqual({
    version: 3,
    zones: {z: zone},
    rules: [{name: 'all', type: '*', prefix: '', zone: 'z', access: 'everything'}],
  });
});

test.each<[what: string, value: unknown]>([
  ['no zone', {...document, zones: {}}],
  ['no rule', {...document, rules: []}],
  ['a zone without regions', {...document, zones: {z: {...zone, regions: []}}}],
  ['an unknown grade', {...document, zones: {z: {...zone, grade: 'perhaps'}}}],
  ['a member it does not know', {...document, more: 1}],
  ['a member of a zone it does not know', {...document, zones: {z: {...zone, more: 1}}}],
  ['a member of a rule it does not know', {...document, rules: [{...rule, more: 1}]}],
  ['an unknown access', {...document, rules: [{...rule, access: 'some'}]}],
  ['the platform’s own type', {...document, rules: [{...rule, type: '$tenant'}]}],
  ['a zone named with a slash, which catalogs are named by', {...document, zones: {'a/b': zone}}],
  ['a zone named with a space', {...document, zones: {'a b': zone}}],
  ['a zone named by nothing', {...document, zones: {'': zone}}],
  ['an own version', {...document, version: 7}],
])('[SCH51] a policy with %s does not fit', (_what, value) => {
  expect(fits(document)).toBe(true);
  expect(fits(value)).toBe(false);
});

test('[SCH52] a zone cannot be named __proto__: not in a body, and not past it', () => {
  const text = JSON.stringify(document).replaceAll('"z"', '"__proto__"');
  expect(() => parseJson(text)).toThrow(/__proto__/);
  expect(fits(JSON.parse(text))).toBe(false);
});

test('[SCH53] the limits of a policy hold from both sides', () => {
  const zones = (count: number) => ({
    ...document,
    zones: Object.fromEntries(many(count, index => [`z${index}`, zone])),
  });
  expect([fits(zones(ZONES_MAX)), fits(zones(ZONES_MAX + 1))]).toEqual([true, false]);
  const rules = (count: number) => ({...document, rules: many(count, () => rule)});
  expect([fits(rules(RULES_MAX)), fits(rules(RULES_MAX + 1))]).toEqual([true, false]);
  const prefix = (length: number) => ({...document, rules: [{...rule, prefix: 'x'.repeat(length)}]});
  expect([fits(prefix(ID_CHARACTERS_MAX)), fits(prefix(ID_CHARACTERS_MAX + 1))]).toEqual([true, false]);
  const named = (length: number) => ({...document, rules: [{...rule, name: 'x'.repeat(length)}]});
  expect([fits(named(64)), fits(named(65))]).toEqual([true, false]);
});
