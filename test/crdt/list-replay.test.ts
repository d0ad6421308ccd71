// Two people writing one text at the same time, as it was recorded: 26,078 changes, with forks and merges.
import {existsSync, readFileSync} from 'node:fs';
import {gunzipSync} from 'node:zlib';
import {expect, test} from 'vitest';
import {Reader, toHex, Writer} from '../../crdt/bytes.ts';
import {
  decodeDelta,
  decodeState,
  type Document,
  EMPTY_DOCUMENT,
  encodeDelta,
  encodeState,
  join,
} from '../../crdt/document.ts';
import {Draft} from '../../crdt/draft.ts';
import {insert, type List, remove} from '../../crdt/list.ts';
import type {VersionVector} from '../../crdt/version-vector.ts';
import {LIST_SHAPE, shown, WRITERS} from '../support/list-scripts.ts';

interface Trace {
  readonly endContent: string;
  readonly txns: readonly {
    readonly parents: readonly number[];
    readonly numChildren: number;
    readonly agent: number;
    readonly patches: readonly (readonly [at: number, removed: number, inserted: string])[];
  }[];
}

const FILE = new URL('../../../shared/data/editing-traces/friendsforever.json.gz', import.meta.url);
const missing = existsSync(FILE) ? '' : ` (skipped: ${FILE.pathname} is not here)`;

test.skipIf(missing)(`[LI24] a recorded text with forks and merges ends as it was recorded${missing}`, () => {
  const {txns, endContent} = JSON.parse(gunzipSync(readFileSync(FILE)).toString()) as Trace;
  // By transaction, until the last one that builds on it has been played.
  const branches = new Map<number, {document: Document; uses: number}>();
  const take = (index: number): Document => {
    const branch = branches.get(index)!;
    if (--branch.uses === 0) branches.delete(index);
    return branch.document;
  };
  const counters = new Map<number, number>();
  const lastHeard = new Map<number, VersionVector>();
  let reader = EMPTY_DOCUMENT;
  let [bytesMax, bytesTotal, merges] = [0, 0, 0];
  let last = EMPTY_DOCUMENT;
  for (const [index, {parents, numChildren, agent, patches}] of txns.entries()) {
    if (parents.length > 1) merges++;
    const before = parents.map(take).reduce((a, b) => join(LIST_SHAPE, a, b), EMPTY_DOCUMENT);
    const counter = (counters.get(agent) ?? 0) + 1;
    counters.set(agent, counter);
    const head = {replica: WRITERS[agent]!, counter, time: {ms: index, logical: 0}};
    const draft = new Draft(LIST_SHAPE, before, {...head, lastHeard: lastHeard.get(agent)});
    for (const [at, removed, inserted] of patches) {
      if (removed > 0) draft.write('list', remove(draft.state<List>('list'), at, removed));
      if (inserted !== '') draft.write('list', insert(draft.state<List>('list'), draft, at, [...inserted]));
    }
    const writer = new Writer();
    encodeDelta(writer, LIST_SHAPE, draft.finish()!);
    const bytes = writer.finish();
    bytesMax = Math.max(bytesMax, bytes.length);
    bytesTotal += bytes.length;
    const delta = decodeDelta(new Reader(bytes), LIST_SHAPE, head);
    last = join(LIST_SHAPE, before, delta);
    if (numChildren > 0) branches.set(index, {document: last, uses: numChildren});
    lastHeard.set(agent, last.vector);
    reader = join(LIST_SHAPE, reader, delta);
  }
  expect(merges).toBe(2258);
  expect(branches.size).toBe(0);
  expect(shown(last).join('')).toBe(endContent);
  // Somebody who only listened holds the same bytes, and so does whoever reads them from a disk.
  const state = encodeState(LIST_SHAPE, last);
  expect(toHex(encodeState(LIST_SHAPE, reader))).toBe(toHex(state));
  expect(shown(decodeState(LIST_SHAPE, state)).join('')).toBe(endContent);
  expect(state.length / endContent.length).toBeLessThan(1.6);
  expect(bytesTotal / txns.length).toBeLessThan(64);
  expect(bytesMax).toBeLessThan(100);
});
