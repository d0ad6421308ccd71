// A replica that was opened from a storage in memory, for tests of one step.
import {type Document, EMPTY_DOCUMENT, type Shape} from '../../crdt/document.ts';
import {EMPTY_VECTOR} from '../../crdt/version-vector.ts';
import {NO_KEYS} from '../../mesh/keys.ts';
import {type Kind, LIMITS, openReplica, type Replica} from '../../mesh/replica.ts';
import type {LogRow, Stored} from '../../mesh/store.ts';
import type {Around} from '../../mesh/turn.ts';
import {IDS} from './mesh-arbitraries.ts';

/** In weur, a peer in enam, everything acknowledged. */
export function openedWith(shape: Shape, rows: readonly LogRow[], document: Document = EMPTY_DOCUMENT): Replica {
  const kind: Kind = {shape, eager: false, bounded: [], internal: false, limits: LIMITS};
  const stored: Stored = {
    id: IDS[0],
    document,
    time: document.latest,
    keys: NO_KEYS,
    freshMarks: [],
    end: rows.length,
    base: {seq: 0, vector: EMPTY_VECTOR},
    checkpointSeq: 0,
    staged: undefined,
    pinned: undefined,
    salvage: [],
    permitted: ['enam'],
    registered: true,
    session: 1,
    leaving: undefined,
    usedMs: 0,
    recovering: false,
    forgotten: [],
    sealed: [],
  };
  return openReplica(kind, 'weur', stored, undefined);
}

export const aroundOf = (rows: readonly LogRow[]): Around => ({
  nowMs: 1_000,
  random: () => 0.5,
  newId: () => IDS[1],
  log: {
    after: (seq, limit) => rows.filter(row => row.seq > seq).slice(0, limit),
    before: (seq, limit) =>
      rows
        .filter(row => row.seq < seq)
        .reverse()
        .slice(0, limit),
    pinned: () => undefined,
    staged: () => new Uint8Array(0),
  },
});
