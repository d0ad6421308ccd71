// Our counters beside those that are printed in the paper: the same schedule on both, and after each step the same numbers.
import fc from 'fast-check';
import {expect, test} from 'vitest';
import {wholeOf} from '../../crdt/causal-context.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import {gCounter, grow, increment, pnCounter, type PNCounter, value} from '../../crdt/pn-counter.ts';
import {EMPTY_VECTOR} from '../../crdt/version-vector.ts';
import {exactOf, REPLICAS} from '../support/subjects.ts';
import {
  comparePN,
  decrementPN,
  incrementPN,
  initialPN,
  mergePN,
  type PNCounter as TextbookCounter,
  valuePN,
} from '../support/textbook-counters.ts';

const SAFE_MAX = 2n ** 53n - 1n;
const NO_CONTEXT = wholeOf(EMPTY_VECTOR);

type Step =
  | {readonly kind: 'count'; readonly by: number; readonly amount: bigint}
  | {readonly kind: 'merge'; readonly into: number; readonly from: number}
  /** Something that was sent long ago arrives, perhaps again. */
  | {readonly kind: 'late'; readonly into: number; readonly sent: number};

interface Pair {
  readonly ours: PNCounter;
  readonly theirs: TextbookCounter;
}

const counted = ({ours, theirs}: Pair, replica: ReplicaId, amount: bigint, onlyUp: boolean): Pair => {
  const delta = onlyUp ? grow(ours, replica, exactOf(amount)) : increment(ours, replica, exactOf(amount));
  return {
    ours: pnCounter.join(ours, NO_CONTEXT, delta, NO_CONTEXT),
    theirs: amount < 0n ? decrementPN(theirs, replica, -amount) : incrementPN(theirs, replica, amount),
  };
};

const merged = (type: typeof gCounter, a: Pair, b: Pair): Pair => ({
  ours: type.join(a.ours, NO_CONTEXT, b.ours, NO_CONTEXT),
  theirs: mergePN(a.theirs, b.theirs),
});

/** The printed payload out of our cells, without places that are 0. */
const payloadOf = (state: PNCounter): readonly unknown[] =>
  [...state].map(([replica, {up, down}]) => [replica, BigInt(up), BigInt(down)]).sort();

const printedPayload = ({p, n}: TextbookCounter): readonly unknown[] =>
  REPLICAS.map(replica => [replica, p.get(replica) ?? 0n, n.get(replica) ?? 0n]).filter(([, up, down]) => up || down);

function agree(type: typeof gCounter, steps: readonly Step[]): readonly bigint[] {
  const pairs: Pair[] = REPLICAS.map(() => ({ours: type.empty, theirs: initialPN}));
  const sent: Pair[] = [{ours: type.empty, theirs: initialPN}];
  const onlyUp = type === gCounter;
  for (const step of steps) {
    const at = step.kind === 'count' ? step.by : step.into;
    const pair = pairs[at]!;
    const next =
      step.kind === 'count'
        ? counted(pair, REPLICAS[at]!, step.amount, onlyUp)
        : merged(type, pair, step.kind === 'merge' ? pairs[step.from]! : sent[step.sent % sent.length]!);
    const {ours, theirs} = next;
    pairs[at] = next;
    sent.push(next);
    expect(BigInt(value(ours))).toBe(valuePN(theirs));
    expect(payloadOf(ours)).toEqual(printedPayload(theirs));
    for (const other of pairs) {
      const isBelow = type.join(other.ours, NO_CONTEXT, ours, NO_CONTEXT) === other.ours;
      expect(isBelow).toBe(comparePN(theirs, other.theirs));
    }
  }
  return pairs.map(({theirs}) => valuePN(theirs));
}

const count = (by: number, amount: bigint): Step => ({kind: 'count', by, amount});
const merge = (into: number, from: number): Step => ({kind: 'merge', into, from});

/** What each replica reads in the end, worked out by hand. */
const VECTORS: readonly (readonly [name: string, steps: readonly Step[], values: readonly bigint[]])[] = [
  ['one counts', [count(0, 1n), count(0, 1n)], [2n, 0n, 0n]],
  ['two count without hearing of each other', [count(0, 3n), count(1, 4n), merge(0, 1), merge(1, 0)], [7n, 7n, 0n]],
  ['hearing twice counts once', [count(0, 5n), merge(1, 0), merge(1, 0), merge(0, 1)], [5n, 5n, 0n]],
  [
    'hearing by way of a third',
    [count(0, 1n), merge(1, 0), count(1, 1n), merge(2, 1), count(2, 1n), merge(0, 2)],
    [3n, 2n, 3n],
  ],
  [
    'old news change nothing',
    [count(0, 1n), {kind: 'late', into: 1, sent: 1}, count(0, 9n), merge(1, 0), {kind: 'late', into: 1, sent: 1}],
    [10n, 10n, 0n],
  ],
  ['across 2^53', [count(0, SAFE_MAX), count(0, 1n), count(1, SAFE_MAX), merge(1, 0)], [2n ** 53n, 2n ** 54n - 1n, 0n]],
  [
    'far beyond',
    [count(0, 2n ** 200n), count(1, 1n), merge(0, 1), merge(2, 0)],
    [2n ** 200n + 1n, 1n, 2n ** 200n + 1n],
  ],
];

const VECTORS_DOWN: typeof VECTORS = [
  ['up and down', [count(0, 5n), count(0, -2n), merge(1, 0), count(1, -4n), merge(0, 1)], [-1n, -1n, 0n]],
  [
    'down and up at the same time',
    [count(0, 1n), count(1, -1n), count(2, -1n), merge(0, 1), merge(0, 2)],
    [-1n, -1n, -1n],
  ],
  ['back across 2^53', [count(0, 2n ** 53n), count(0, -1n), count(1, -SAFE_MAX), merge(0, 1)], [0n, -SAFE_MAX, 0n]],
];

test.each(VECTORS)('[ORA1] a grow-only counter does what the printed one does: %s', (_, steps, values) => {
  expect(agree(gCounter, steps)).toEqual(values);
});

test.each([...VECTORS, ...VECTORS_DOWN])('[ORA1] a counter does what the printed one does: %s', (_, steps, values) => {
  expect(agree(pnCounter, steps)).toEqual(values);
});

const place = fc.nat(2);
const amount = fc.oneof(fc.bigInt({min: 1n, max: 9n}), fc.constantFrom(SAFE_MAX, 2n ** 53n, 2n ** 64n, 2n ** 100n));
const schedule = (amounts: fc.Arbitrary<bigint>): fc.Arbitrary<readonly Step[]> =>
  fc.array(
    fc.oneof<fc.Arbitrary<Step>[]>(
      fc.record({kind: fc.constant('count' as const), by: place, amount: amounts}),
      fc.record({kind: fc.constant('merge' as const), into: place, from: place}),
      fc.record({kind: fc.constant('late' as const), into: place, sent: fc.nat(20)}),
    ),
    {maxLength: 20},
  );

test('[ORA2] grow-only counters and the printed ones agree after every step of any schedule, beyond 2^53 too', () => {
  fc.assert(
    fc.property(schedule(amount), steps => void agree(gCounter, steps)),
    {numRuns: 1_000},
  );
});

test('[ORA2] counters and the printed ones agree after every step of any schedule, beyond 2^53 too', () => {
  const both = fc.oneof(
    amount,
    amount.map(by => -by),
  );
  fc.assert(
    fc.property(schedule(both), steps => void agree(pnCounter, steps)),
    {numRuns: 1_000},
  );
});
