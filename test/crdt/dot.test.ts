import {expect, test} from 'vitest';
import {compareTags, compareText, isReplicaId, sameTag, type Tag} from '../../crdt/dot.ts';
import {REPLICAS} from '../support/subjects.ts';

const [EU, US] = REPLICAS;
const tag = (replica: typeof EU, counter: number, index: number): Tag => ({replica, counter, index});

test('[DOT1] a replica id is sixteen lower-case hex digits and nothing else', () => {
  for (const id of [EU, '0123456789abcdef']) expect(isReplicaId(id)).toBe(true);
  for (const text of ['', 'a', EU.slice(1), `${EU}0`, `0${EU}`, EU.toUpperCase(), `${EU.slice(1)}g`, 'x'.repeat(16)])
    expect(isReplicaId(text)).toBe(false);
});

test('[DOT2] tags are in order of their replicas, then of their counters, then of their places in the event', () => {
  const inOrder = [tag(EU, 1, 0), tag(EU, 1, 2), tag(EU, 1, 10), tag(EU, 2, 0), tag(EU, 10, 1), tag(US, 1, 0)];
  for (const [at, a] of inOrder.entries())
    for (const [other, b] of inOrder.entries()) {
      expect(Math.sign(compareTags(a, b))).toBe(Math.sign(at - other));
      expect(sameTag(a, {...b})).toBe(at === other);
    }
});

test('[DOT2] texts are in order of their UTF-16 units', () => {
  // By code point the last two would be the other way round.
  const inOrder = ['', 'B', 'a', 'aa', 'b', 'ä', '\u{1f600}', '\uffee'];
  for (const [at, a] of inOrder.entries())
    for (const [other, b] of inOrder.entries()) expect(compareText(a, b)).toBe(Math.sign(at - other));
});
