// How much a WebAssembly kernel could save in bulk joins of counters, at most: the part of a join that is nothing but
// pairwise maxima, done here by the plain loop that a kernel would replace, beside all that comes before and after it.
import * as maps from '../crdt/or-map.ts';
import * as counters from '../crdt/pn-counter.ts';
import {decodeState, type Document, EMPTY_DOCUMENT, encodeState, join, type Shape} from '../crdt/document.ts';
import type {ReplicaId} from '../crdt/dot.ts';
import {Replica} from '../crdt/replica.ts';

const SIZES = [100, 1_000, 10_000, 100_000];
const RUNS = 9;
const type = maps.orMap(counters.pnCounter);
const SHAPE: Shape = new Map([['counts', type]]);

function counted(id: string, size: number): Document {
  const replica = new Replica(SHAPE, {id: id.repeat(16) as ReplicaId, now: () => 1});
  for (let from = 0; from < size; from += 1_000)
    replica.edit(draft => {
      for (let at = from; at < Math.min(size, from + 1_000); at++)
        draft.write(
          'counts',
          maps.update(counters.pnCounter, draft.state('counts'), draft, `counter-${at}`, held =>
            counters.increment(held, draft.replica, (at * 7_919) % 10_007),
          ),
        );
    });
  return replica.document;
}

function medianOf(run: () => unknown): number {
  const times = Array.from({length: RUNS}, () => {
    const startMs = performance.now();
    run();
    return performance.now() - startMs;
  });
  return times.sort((a, b) => a - b)[RUNS >> 1]!;
}

console.log('counters   decode, ms   join, ms   maxima alone, ms   share of decode and join');
for (const size of SIZES) {
  const [ours, theirs] = [counted('a', size), counted('b', size)];
  const bytes = encodeState(SHAPE, theirs);
  const decodeMs = medianOf(() => decodeState(SHAPE, bytes));
  const joinMs = medianOf(() => join(SHAPE, join(SHAPE, EMPTY_DOCUMENT, ours), decodeState(SHAPE, bytes))) - decodeMs;
  const [mine, yours] = [new Float64Array(size).fill(3), new Float64Array(size).map((_, at) => (at * 7_919) % 10_007)];
  const maximaMs = medianOf(() => {
    for (let at = 0; at < size; at++) if (yours[at]! > mine[at]!) mine[at] = yours[at]!;
  });
  const row = [decodeMs, joinMs, maximaMs].map(ms => ms.toFixed(3).padStart(12));
  const share = ((100 * maximaMs) / (decodeMs + joinMs)).toFixed(2);
  console.log(`${String(size).padStart(8)} ${row.join(' ')} ${share.padStart(18)} %`);
}
