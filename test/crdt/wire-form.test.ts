// What lies on disks today must be readable for ever: each type's name, code and bytes, as they were when they were frozen here.
// A failure is a change of the format: it needs a new code or a new format number, and what was written before stays readable.
import {expect, test} from 'vitest';
import * as awSet from '../../crdt/aw-set.ts';
import * as bounded from '../../crdt/bounded-counter.ts';
import {fromHex, toHex} from '../../crdt/bytes.ts';
import * as capped from '../../crdt/capped-counter.ts';
import type {Author} from '../../crdt/crdt-type.ts';
import {type AnyCrdtType, decodeState, encodeState} from '../../crdt/document.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import * as flags from '../../crdt/flags.ts';
import * as gSets from '../../crdt/g-set.ts';
import * as lwwSets from '../../crdt/lww-element-set.ts';
import * as maps from '../../crdt/or-map.ts';
import * as counters from '../../crdt/pn-counter.ts';
import * as registers from '../../crdt/registers.ts';
import {Replica} from '../../crdt/replica.ts';
import * as rwMaps from '../../crdt/rw-map.ts';
import * as rwSets from '../../crdt/rw-set.ts';
import {REPLICAS} from '../support/subjects.ts';

const [EU, US] = REPLICAS;

interface Form {
  readonly name: string;
  readonly code: number;
  readonly type: AnyCrdtType;
  readonly frames: readonly [eu: string, us: string, usAgain: string, euAgain: string];
  readonly state: string;
}

const form = <S>(
  type: AnyCrdtType,
  name: string,
  code: number,
  first: (state: S, author: Author) => S,
  second: (state: S, author: Author) => S,
  frames: Form['frames'],
  state: string,
) => ({type, name, code, first, second, frames, state}) as const;

const {pnCounter} = counters;
const long = 'x'.repeat(64);
const add =
  (amount: number) =>
  (state: counters.PNCounter, {replica}: Author) =>
    counters.increment(state, replica, amount);

const FORMS = [
  form(
    counters.gCounter,
    'g-counter',
    1,
    add(5),
    add(2 ** 40),
    ['010105', '010105', '00c901000001858080808020', '00d904000001858080808020'],
    '010f100085808080802001858080808020',
  ),
  form(
    pnCounter,
    'pn-counter',
    2,
    add(300),
    add(-7),
    ['0201ac02', '0201ac02', '00c901000003ac0207', '00d904000003ac0207'],
    '02091200ac020701ac0207',
  ),
  form(
    counters.resettableCounter,
    'resettable-counter',
    13,
    add(300),
    counters.reset,
    ['0d01ac02', '0d01ac02', '00c901000005ac02ac02', '00d904000005ac02ac02'],
    '0d0b1400ac02ac0201ac02ac02',
  ),
  form(
    bounded.boundedCounter,
    'bounded-counter',
    3,
    (state: bounded.BoundedCounter, {replica}) => bounded.increment(state, replica, 9),
    (state, {replica}) => (replica === EU ? bounded.transfer(state, EU, US, 4) : bounded.increment(state, US, 1)),
    ['03010000010009', '03010000010009', '00c901000001000001000a', '0101b1b1b1b1b1b1b1b1d9040000010000010104'],
    '030d0200000200090104010001010a',
  ),
  form(
    capped.cappedCounter,
    'capped-counter',
    14,
    (state: capped.CappedCounter, {replica}) => capped.provision(state, replica, 9),
    (state, {replica}) => capped.increment(state, replica, 3),
    ['0e00010000010009', '0e00010000010009', '00c901000001000001000301000300', '00d904000001000001000301000300'],
    '0e1602000001000301000101030200030100090103010109',
  ),
  form(
    registers.lwwRegister,
    'lww-register',
    4,
    (state: registers.Register, author) => registers.set(state, author, {a: [1, -2, 2.5, null, true, false]}),
    (state, author) => registers.set(state, author, long),
    [
      '0400008601016185060190029819808281',
      '0400008601016185060190029819808281',
      '00c901000000008440' + '78'.repeat(64),
      '00d904000000008440' + '78'.repeat(64),
    ],
    '048b011400008440' + '78'.repeat(64) + '08c901008440' + '78'.repeat(64),
  ),
  form(
    registers.mvRegister,
    'mv-register',
    5,
    (state: registers.Register, author) => registers.set(state, author, 1e300),
    (state, author) => registers.set(state, author, -70_000),
    ['050000837e37e43c8800759c', '050000837e37e43c8800759c', '00c9010000000092701101', '00d9040000000092701101'],
    '050f1400009270110108c9010092701101',
  ),
  form(
    awSet.awSet,
    'aw-set',
    6,
    (state: awSet.AWSet, author) => awSet.add(state, author, 'apple'),
    (state, author) => awSet.add(state, author, 'apply'),
    ['0601056170706c6500', '0601056170706c6500', '00c901000001056170706c7900', '00d904000001056170706c7900'],
    '061102056170706c6541791402010a01140008',
  ),
  form(
    flags.ewFlag,
    'ew-flag',
    7,
    flags.enable,
    flags.disable,
    ['070100', '070100', '00c90100000200', '00d90400000200'],
    '070402140008',
  ),
  form(
    flags.dwFlag,
    'dw-flag',
    8,
    flags.disable,
    flags.disable,
    ['080200', '080200', '00c90100000200', '00d90400000200'],
    '080402140008',
  ),
  form(
    gSets.gSet,
    'g-set',
    9,
    (state: gSets.GSet) => gSets.add(state, 'é'),
    state => gSets.add(state, 'a key of more than fifteen bytes'),
    [
      '090102c3a9',
      '090102c3a9',
      '00c9010000010f1161206b6579206f66206d6f7265207468616e206669667465656e206279746573',
      '00d9040000010f1161206b6579206f66206d6f7265207468616e206669667465656e206279746573',
    ],
    '0926020f1161206b6579206f66206d6f7265207468616e206669667465656e20627974657302c3a9',
  ),
  form(
    rwSets.rwSet,
    'rw-set',
    10,
    (state: rwSets.RWSet, author) => rwSets.add(state, author, 'a'),
    (state, author) => rwSets.remove(state, author, 'b'),
    ['0a0101016100', '0a0101016100', '00c90100000201016200', '00d90400000201016200'],
    '0a12030201610162140201010a01011400000800',
  ),
  form(
    lwwSets.lwwElementSet,
    'lww-element-set',
    11,
    (state: lwwSets.LWWElementSet, author) => lwwSets.add(state, author, 'a'),
    (state, author) => lwwSets.remove(state, author, 'a'),
    ['0b010101610000', '0b010101610000', '00c9010000020101610000', '00d9040000020101610000'],
    '0b0b0201016114000008c90100',
  ),
  form(
    maps.orMap(pnCounter),
    'or-map<pn-counter>',
    320,
    (state: maps.ORMap<counters.PNCounter>, author) =>
      maps.update(pnCounter, state, author, 'k', value => add(1)(value, author)),
    state => maps.remove(pnCounter, state, 'k'),
    ['c0020101016b000101', 'c0020101016b000101', '00c90100000201016b01050101', '00d90400000201016b01050101'],
    'c0020b0001016b14000101010101',
  ),
  form(
    rwMaps.rwMap(awSet.awSet),
    'rw-map<aw-set>',
    833,
    (state: Parameters<typeof rwMaps.keys<awSet.AWSet>>[1], author) =>
      rwMaps.update(awSet.awSet, state, author, 'k', value => awSet.add(value, author, 'e')),
    (state, author) => rwMaps.remove(awSet.awSet, state, author, 'k'),
    ['c1060001016b0401016500', 'c1060001016b0401016500', '00c90100000201016b010000', '00d90400000201016b010000'],
    'c106080001016b14000800',
  ),
];

/** All frames and states here begin with these: who writes, when, and that the only field is called f. */
const FRAME_OF: Readonly<Record<ReplicaId, string>> = {
  [EU]: '010101a0a0a0a0a0a0a0a000991100000166',
  [US]: '010101b1b1b1b1b1b1b1b100e11200000166',
};
const STATE_OF_BOTH = '0202a0a0a0a0a0a0a0a002b1b1b1b1b1b1b1b102f80a0000010166';

test.each(FORMS.map(one => [one.name, one] as const))('[WIRE1] %s keeps its name, its code and its bytes', (_, one) => {
  const {type, name, code, frames} = one;
  const [first, second] = [one.first, one.second] as ((state: unknown, author: Author) => unknown)[];
  expect([type.name, type.code]).toEqual([name, code]);
  const shape = new Map([['f', type]]);
  let nowMs = 1_000;
  const write = (replica: Replica, change: typeof first): string => {
    nowMs += 100;
    replica.edit(draft => draft.write('f', change!(draft.state('f'), draft)));
    return toHex(replica.flush()!);
  };
  const [eu, us] = [EU, US].map(id => new Replica(shape, {id, now: () => nowMs})) as [Replica, Replica];
  const written = [write(eu, first), write(us, first), write(us, second), write(eu, second)];
  expect(written).toEqual([FRAME_OF[EU] + frames[0], FRAME_OF[US] + frames[1], frames[2], frames[3]]);
  us.receive(eu.snapshot());
  const state = `${STATE_OF_BOTH}${one.state}00`;
  expect(toHex(us.snapshot())).toBe(state);
  expect(toHex(encodeState(shape, decodeState(shape, fromHex(state))))).toBe(state);
});
