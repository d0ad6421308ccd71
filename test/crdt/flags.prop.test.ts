import fc from 'fast-check';
import {expect, test} from 'vitest';
import {DecodeError, fromHex} from '../../crdt/bytes.ts';
import {decodePart, encodePart, fieldState} from '../../crdt/document.ts';
import {dwFlag as dwType, ewFlag as ewType, type Flag} from '../../crdt/flags.ts';
import {convergesOnModel, obeysJoinLaws} from '../support/crdt-properties.ts';
import {joinAll, only, play, readField, scriptOf, type Step} from '../support/crdt-scripts.ts';
import type {FlagCommand} from '../support/models.ts';
import {type AnySubject, dwFlag, ewFlag, mapOf, REPLICAS} from '../support/subjects.ts';

const [EU, US, AP] = REPLICAS;
const step = (replica: Step['replica'], hears: Step['hears'], ...commands: readonly FlagCommand[]): Step => ({
  replica,
  hears,
  time: {ms: 1, logical: 0},
  writes: commands.map(command => ({field: 'field', command})),
});
const read = (subject: AnySubject, script: readonly Step[]) => {
  const run = play(only(subject), script);
  return readField(only(subject), joinAll(run.shape, run.documents), 'field');
};
const FLAGS: readonly (readonly [string, AnySubject])[] = [
  ['enable-wins', ewFlag],
  ['disable-wins', dwFlag],
];

test.each(FLAGS)('[FLAG1] the %s flag is what the writes that stand make it, in any delivery', (_, subject) =>
  convergesOnModel(subject, 400),
);
test.each(FLAGS)('[FLAG1] [DOC1] the %s flag: join obeys its laws', (_, subject) => obeysJoinLaws(subject, 300));
test.each(FLAGS)('[FLAG1] the %s flag in a map starts anew when its key was removed', (_, subject) => {
  convergesOnModel(mapOf(subject), 300);
  obeysJoinLaws(mapOf(subject), 200);
});

test('[FLAG2] of two who did not know of each other, the one wins that the name of the flag says', () => {
  const concurrent = [step(EU, null, 'enable'), step(US, null, 'disable')];
  expect(read(ewFlag, concurrent)).toBe(true);
  expect(read(dwFlag, concurrent)).toBe(false);
  // A consent that is revoked in one region while another renews it is revoked; a typing mark would be renewed.
  const renewed = [step(EU, null, 'enable'), step(US, EU, 'disable'), step(EU, null, 'enable')];
  expect(read(ewFlag, renewed)).toBe(true);
  expect(read(dwFlag, renewed)).toBe(false);
});

test.each(FLAGS)('[FLAG2] whoever has seen the other write decides (%s)', (_, subject) => {
  expect(read(subject, [step(EU, null, 'enable'), step(US, EU, 'disable')])).toBe(false);
  expect(read(subject, [step(EU, null, 'disable'), step(US, EU, 'enable')])).toBe(true);
  expect(
    read(subject, [step(EU, null, 'enable'), step(US, null, 'disable'), step(AP, EU), step(AP, US, 'enable')]),
  ).toBe(true);
});

test.each(FLAGS)('[FLAG3] the %s flag is off before the first write', (_, subject) => {
  expect(read(subject, [])).toBe(false);
});

test.each(FLAGS)('[FLAG4] the %s flag holds at most one write per replica', (_, subject) => {
  const property = fc.property(scriptOf(only(subject)), script => {
    const run = play(only(subject), script);
    const writes = fieldState<Flag>(joinAll(run.shape, run.documents), 'field', subject.type);
    expect(new Set(writes.map(({replica}) => replica)).size).toBe(writes.length);
  });
  fc.assert(property, {numRuns: 200});
});

const REPLICA = 'a0a0a0a0a0a0a0a0';

test.each([
  ['a side that no write has', `00 03 04`],
  ['both sides, of one write', `01${REPLICA} 03 02 01 01`],
  ['no side, of one write', `01${REPLICA} 00 02 01`],
  ['a side that is not known', `00 04 04`],
  ['a write that is neither on nor off', `01${REPLICA} 03 14 02 01 02 02 02 01`],
  ['writes out of order', `01${REPLICA} 03 14 02 02 01 02 01 00`],
  ['a list of one', `01${REPLICA} 01 0c 02 01`],
  ['bytes left over', `01${REPLICA} 01 02 01 00`],
])('[FLAG5] bytes that no flag has are refused: %s', (_, hex) => {
  for (const type of [ewType, dwType])
    expect(() => decodePart(type, fromHex(hex.replaceAll(' ', '')))).toThrow(DecodeError);
});

test('[FLAG5] what a flag has comes back', () => {
  const flag: Flag = [
    {replica: EU, counter: 1, index: 0, on: true},
    {replica: EU, counter: 2, index: 0, on: false},
  ];
  for (const type of [ewType, dwType]) expect(decodePart(type, encodePart(type, flag))).toEqual(flag);
});
