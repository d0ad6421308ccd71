import fc from 'fast-check';
import {expect, test} from 'vitest';
import {
  boundedCounter as type,
  decrement,
  increment,
  rights,
  rightsOf,
  transfer,
  value,
} from '../../crdt/bounded-counter.ts';
import {wholeOf} from '../../crdt/causal-context.ts';
import {decodePart, encodePart, fieldState} from '../../crdt/document.ts';
import {plus, sum} from '../../crdt/exact.ts';
import {Refusal} from '../../crdt/refusal.ts';
import {EMPTY_VECTOR} from '../../crdt/version-vector.ts';
import {convergesOnModel, obeysJoinLaws} from '../support/crdt-properties.ts';
import {only, play, scriptOf} from '../support/crdt-scripts.ts';
import {type BoundedCommand, boundedModel, type Write} from '../support/models.ts';
import {boundedCounter, exactOf, REPLICAS} from '../support/subjects.ts';

const [EU, US, AP] = REPLICAS;
const subjects = only(boundedCounter);
const ANY = wholeOf(EMPTY_VECTOR); // Its cells only grow, whatever either side has seen.
const joinStates = (a: typeof type.empty, b: typeof type.empty) => type.join(a, ANY, b, ANY);

test('[BC1] value and rights are what increments, decrements and transfers add up to, in any delivery', () =>
  convergesOnModel(boundedCounter, 2000));
test('[BC1] [DOC1] join obeys its laws', () => obeysJoinLaws(boundedCounter, 1500));

test('[BC2] [BC3] at every state a replica is ever in, rights add up to the value and nothing is below zero', () => {
  const property = fc.property(scriptOf(subjects, 14), script => {
    for (const event of play(subjects, script).events) {
      if (!event) continue;
      const state = fieldState(event.after, 'field', type);
      expect(sum(rights(state).values())).toBe(value(state));
      expect(value(state) >= 0).toBe(true);
      for (const replica of REPLICAS) expect(rightsOf(state, replica) >= 0).toBe(true);
    }
  });
  fc.assert(property, {numRuns: 300});
});

test('[BC4] a decrement is refused exactly when rights here do not suffice, and the code says whether others hold enough', () => {
  const property = fc.property(scriptOf(subjects, 14), script => {
    const {attempts} = play(subjects, script);
    for (const {write, refused} of attempts) {
      const {replica, command, seen} = write as Write<BoundedCommand>;
      const known = attempts.filter(attempt => seen.has(attempt.write.id)).map(attempt => attempt.write);
      const model = boundedModel(known as readonly Write<BoundedCommand>[]);
      const enough = command.amount <= (model.rights.get(replica) ?? 0n);
      if (command.kind === 'increment') expect(refused).toBe(undefined);
      else if (command.kind === 'transfer')
        expect(refused).toBe(enough && command.to !== replica && command.amount > 0n ? undefined : 'rights-exhausted');
      else
        expect(refused).toBe(
          enough ? undefined : command.amount > model.value ? 'insufficient-stock' : 'rights-exhausted',
        );
    }
  });
  fc.assert(property, {numRuns: 300});
});

function refusalOf(change: () => unknown): unknown {
  try {
    return void change();
  } catch (error) {
    expect(error).toBeInstanceOf(Refusal);
    return error;
  }
}

test('[BC4] the refusal carries what was asked, what is here and what is known', () => {
  const state = joinStates(increment(type.empty, EU, 3), increment(type.empty, US, 2));
  const refusal = (amount: number) => refusalOf(() => decrement(state, EU, amount));
  expect(refusal(3)).toBe(undefined);
  expect(refusal(4)).toMatchObject({code: 'rights-exhausted', facts: {asked: 4, here: 3, known: 5}});
  expect(refusal(6)).toMatchObject({code: 'insufficient-stock', facts: {asked: 6, here: 3, known: 5}});
  expect(refusalOf(() => increment(state, EU, -1))).toMatchObject({code: 'out-of-range'});
  expect(refusalOf(() => decrement(state, EU, -1))).toMatchObject({code: 'out-of-range'});
  expect(refusalOf(() => transfer(state, EU, US, 4))).toMatchObject({code: 'rights-exhausted', facts: {here: 3}});
});

test('[BC2] rights are listed in order of their holders', () => {
  const state = joinStates(increment(type.empty, US, 2), increment(type.empty, EU, 3));
  expect([...rights(state)]).toEqual([
    [EU, 3],
    [US, 2],
  ]);
});

test('[BC5] a transfer moves rights and not the value, once, however often it arrives', () => {
  const made = increment(type.empty, EU, 5);
  const moved = transfer(made, EU, AP, 2);
  const state = [moved, made, moved].reduce(joinStates);
  expect([value(state), rightsOf(state, EU), rightsOf(state, AP)]).toEqual([5, 3, 2]);
  const back = joinStates(state, transfer(state, AP, EU, 1));
  expect([value(back), rightsOf(back, EU), rightsOf(back, AP)]).toEqual([5, 4, 1]);
});

test('[BC6] amounts beyond 2^53 are exact, and an amount of zero changes nothing that cannot be read back', () => {
  const huge = exactOf(2n ** 80n);
  const state = increment(type.empty, EU, huge);
  expect(value(joinStates(state, decrement(state, EU, 1)))).toBe(2n ** 80n - 1n);
  expect(plus(value(state), 0)).toBe(huge);
  for (const delta of [increment(type.empty, EU, 0), decrement(type.empty, EU, 0)]) {
    expect(type.isEmpty(delta)).toBe(true);
    expect(decodePart(type, encodePart(type, delta))).toEqual(delta);
  }
});

test('[BC7] a bounded counter is never reset, since its rights would be lost', () => {
  expect(() => type.reset(type.empty)).toThrow();
});
