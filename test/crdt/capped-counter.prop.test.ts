import fc from 'fast-check';
import {expect, test} from 'vitest';
import {DecodeError, fromHex} from '../../crdt/bytes.ts';
import {
  capacity,
  cappedCounter as type,
  type CappedCounter,
  decrement,
  increment,
  provision,
  transferRoom,
  transferStock,
  value,
} from '../../crdt/capped-counter.ts';
import {wholeOf} from '../../crdt/causal-context.ts';
import {decodePart, encodePart, fieldState} from '../../crdt/document.ts';
import {Refusal} from '../../crdt/refusal.ts';
import {EMPTY_VECTOR} from '../../crdt/version-vector.ts';
import {convergesOnModel, obeysJoinLaws} from '../support/crdt-properties.ts';
import {only, play, scriptOf} from '../support/crdt-scripts.ts';
import {type CappedCommand, cappedModel, type Write} from '../support/models.ts';
import {cappedCounter, exactOf, REPLICAS} from '../support/subjects.ts';

const [EU, US, AP] = REPLICAS;
const subjects = only(cappedCounter);
const ANY = wholeOf(EMPTY_VECTOR); // Its cells only grow, whatever either side has seen.
const joinStates = (a: CappedCounter, b: CappedCounter) => type.join(a, ANY, b, ANY);
const after = (state: CappedCounter, ...changes: readonly ((state: CappedCounter) => CappedCounter)[]) =>
  changes.reduce((now, change) => joinStates(now, change(now)), state);

test('[CAP1] value, capacity and rights are what the writes add up to, in any delivery', () =>
  convergesOnModel(cappedCounter, 400));
test('[CAP1] [DOC1] join obeys its laws', () => obeysJoinLaws(cappedCounter, 300));

test('[CAP2] at every state a replica is ever in, the value is between zero and what was provisioned, and no rights are below zero', () => {
  const property = fc.property(scriptOf(subjects, 14), script => {
    for (const event of play(subjects, script).events) {
      if (!event) continue;
      const state = fieldState<CappedCounter>(event.after, 'field', type);
      const {stock, room} = cappedCounter.read(state) as ReturnType<typeof cappedModel>;
      expect(value(state) >= 0 && value(state) <= capacity(state)).toBe(true);
      for (const held of [...stock.values(), ...room.values()]) expect(held > 0n).toBe(true);
    }
  });
  fc.assert(property, {numRuns: 300});
});

test('[CAP3] a write is refused exactly when the rights here do not suffice, and the code says which, and whether others hold enough', () => {
  const property = fc.property(scriptOf(subjects, 14), script => {
    const {attempts} = play(subjects, script);
    for (const {write, refused} of attempts) {
      const {replica, command, seen} = write as Write<CappedCommand>;
      const known = attempts.filter(attempt => seen.has(attempt.write.id)).map(attempt => attempt.write);
      const model = cappedModel(known as readonly Write<CappedCommand>[]);
      const {kind, amount} = command;
      if (kind === 'provision') {
        expect(refused).toBe(undefined);
        continue;
      }
      const ofStock = kind === 'decrement' || kind === 'transferStock';
      const here = (ofStock ? model.stock : model.room).get(replica) ?? 0n;
      const everywhere = ofStock ? model.value : model.capacity - model.value;
      const elsewhere = ofStock ? 'rights-exhausted' : 'capacity-exhausted';
      const nowhere = ofStock ? 'insufficient-stock' : 'insufficient-capacity';
      if ('to' in command)
        expect(refused).toBe(amount > 0n && amount <= here && command.to !== replica ? undefined : elsewhere);
      else expect(refused).toBe(amount <= here ? undefined : amount > everywhere ? nowhere : elsewhere);
    }
  });
  fc.assert(property, {numRuns: 300});
});

test('[CAP3] a cinema with ten seats sells ten, and takes back no more than it has sold', () => {
  const hall = after(
    type.empty,
    now => provision(now, EU, 10),
    now => transferRoom(now, EU, US, 4),
  );
  const sold = after(
    hall,
    now => increment(now, EU, 6),
    now => increment(now, US, 3),
  );
  const refusal = (change: () => unknown) => {
    try {
      return void change();
    } catch (error) {
      return error;
    }
  };
  expect([value(sold), capacity(sold)]).toEqual([9, 10]);
  expect(refusal(() => increment(sold, EU, 1))).toMatchObject({
    code: 'capacity-exhausted',
    facts: {asked: 1, here: 0, known: 1},
  });
  expect(refusal(() => increment(sold, US, 2))).toMatchObject({
    code: 'insufficient-capacity',
    facts: {asked: 2, here: 1, known: 1},
  });
  expect(refusal(() => decrement(sold, AP, 1))).toMatchObject({code: 'rights-exhausted'});
  expect(refusal(() => decrement(sold, AP, 10))).toMatchObject({code: 'insufficient-stock'});
  for (const change of [provision, increment, decrement]) expect(() => change(sold, EU, -1)).toThrow(Refusal);
});

test('[CAP4] transfers move rights of either kind and nothing else, once, however often they arrive', () => {
  const made = after(
    type.empty,
    now => provision(now, EU, 5),
    now => increment(now, EU, 2),
  );
  const [stock, room] = [transferStock(made, EU, AP, 1), transferRoom(made, EU, AP, 3)];
  const state = [stock, room, made, stock, room].reduce(joinStates);
  expect(joinStates(state, made)).toBe(state);
  expect(cappedCounter.read(state)).toEqual({
    value: 2n,
    capacity: 5n,
    stock: new Map([
      [EU, 1n],
      [AP, 1n],
    ]),
    room: new Map([[AP, 3n]]),
  });
});

test('[CAP5] amounts are exact, and an amount of zero changes nothing', () => {
  const huge = exactOf(2n ** 80n);
  const state = after(
    type.empty,
    now => provision(now, EU, huge),
    now => increment(now, EU, huge),
    now => decrement(now, EU, 1),
  );
  expect(value(state)).toBe(2n ** 80n - 1n);
  expect(decodePart(type, encodePart(type, state))).toEqual(state);
  for (const change of [provision, increment, decrement]) expect(type.isEmpty(change(state, EU, 0))).toBe(true);
});

test('[CAP6] a capped counter is never reset, since its rights would be lost', () => {
  expect(() => type.reset(type.empty)).toThrow(/cannot be reset/);
});

const REPLICA = 'a0a0a0a0a0a0a0a0';

test.each([
  ['stock without room', '00 00'],
  ['a row without cells', `01${REPLICA} 00 01 00 00 00`],
  ['rows out of order', `01${REPLICA} 00 02 00 01 00 00 01 00`],
  ['more rows than bytes', '00 00 05'],
])('[CAP7] bytes that no capped counter has are refused: %s', (_, hex) => {
  expect(() => decodePart(type, fromHex(hex.replaceAll(' ', '')))).toThrow(DecodeError);
});
