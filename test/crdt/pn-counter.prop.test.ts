import {expect, test} from 'vitest';
import {EMPTY_DOCUMENT, encodePart, decodePart, encodeState} from '../../crdt/document.ts';
import {DecodeError, toHex} from '../../crdt/bytes.ts';
import * as counters from '../../crdt/pn-counter.ts';
import {Refusal} from '../../crdt/refusal.ts';
import {convergesOnModel, obeysJoinLaws} from '../support/crdt-properties.ts';
import {joinAll, only, play, readField} from '../support/crdt-scripts.ts';
import {gCounter, pnCounter, REPLICAS} from '../support/subjects.ts';

const [EU, US] = REPLICAS;

test('[GC1] the value is the sum of all increments, each once, in any delivery', () =>
  convergesOnModel(gCounter, 2000));
test('[GC1] [DOC1] join obeys its laws', () => obeysJoinLaws(gCounter, 1500));

test('[GC2] a grow-only counter refuses to fall, and bytes that say it fell are no encoding', () => {
  expect(() => counters.grow(new Map(), EU, -1)).toThrow(Refusal);
  const fell = counters.increment(new Map(), EU, -1);
  expect(() => decodePart(counters.gCounter, encodePart(counters.gCounter, fell))).toThrow(DecodeError);
  expect(decodePart(counters.pnCounter, encodePart(counters.pnCounter, fell))).toEqual(fell);
});

test('[PN1] the value is what was added less what was taken away, each once, in any delivery', () =>
  convergesOnModel(pnCounter, 2000));
test('[PN1] [DOC1] join obeys its laws', () => obeysJoinLaws(pnCounter, 1500));

test('[PN2] counts beyond 2^53 are exact', () => {
  const subjects = only(pnCounter);
  const step = {hears: null, time: {ms: 1, logical: 0}};
  const add = (command: bigint) => [{field: 'field', command}];
  const run = play(subjects, [
    {...step, replica: EU, writes: add(2n ** 53n - 1n)},
    {...step, replica: EU, writes: add(2n)},
    {...step, replica: US, writes: add(-(2n ** 70n))},
  ]);
  expect(readField(subjects, joinAll(run.shape, run.documents), 'field')).toBe(2n ** 53n + 1n - 2n ** 70n);
});

test('[PN3] a counter keeps one cell per replica however often it writes', () => {
  const subjects = only(pnCounter);
  const time = {ms: 1, logical: 0};
  const runOf = (steps: number) =>
    play(
      subjects,
      Array.from({length: steps}, () => ({replica: EU, hears: null, time, writes: [{field: 'field', command: 1n}]})),
    );
  const sizes = [1, 100].map(steps => {
    const {shape, documents} = runOf(steps);
    return toHex(encodeState(shape, documents[0] ?? EMPTY_DOCUMENT)).length;
  });
  expect(sizes[1]).toBe(sizes[0]);
});
