// One contract for every disk that a replica may have (mesh/store.ts): the one of the simulator, and the one on SQLite.
import fc from 'fast-check';
import {expect, test} from 'vitest';
import {toHex} from '../../crdt/bytes.ts';
import {EMPTY_DOCUMENT, encodeState, join} from '../../crdt/document.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import {EMPTY_VECTOR} from '../../crdt/version-vector.ts';
import {EntityStore, type Identity} from '../../durable-objects/entity-store.ts';
import {encodeEntry} from '../../mesh/entry.ts';
import type {Mark} from '../../mesh/keys.ts';
import {type Log, type LogRow, type Notes, ReplicaDamaged, type Stored, type StoreEffect} from '../../mesh/store.ts';
import {play, scriptOf, shapeOf} from '../support/crdt-scripts.ts';
import {Disk} from '../support/sim-sql.ts';
import {ALL_SUBJECTS, MORE_SUBJECTS, REPLICAS} from '../support/subjects.ts';
import {MemoryStore} from './memory-store.ts';

const SUBJECTS = new Map([...ALL_SUBJECTS, ...MORE_SUBJECTS]);
const SHAPE = shapeOf(SUBJECTS);
const IDENTITY: Identity = {
  address: {tenant: 't', type: 'thing', id: '1'},
  place: {region: 'weur', jurisdiction: undefined},
  tenantJurisdiction: undefined,
};
const ID = REPLICAS[0];
const NOTES: Notes = {
  permitted: ['enam'],
  registered: false,
  session: 0,
  leaving: undefined,
  usedMs: 1,
  forgotten: [],
  sealed: [],
  recovering: false,
};

interface Store extends Log {
  apply(effects: readonly StoreEffect[]): void;
  /** As whoever is opened next finds it. */
  load(): Stored;
  /** Opened anew, with nothing but what is on disk. */
  reopened(): Store;
  flip(row: number, bit: number): void;
  lose(row: number): void;
}

function memory(store = new MemoryStore()): Store {
  return {
    apply: effects => store.apply(effects),
    load: () => store.load(SHAPE),
    reopened: () => memory(store),
    after: (seq, limit) => store.after(seq, limit),
    before: (seq, limit) => store.before(seq, limit),
    pinned: index => store.pinned(index),
    staged: () => store.staged(),
    flip: row => void store.spoil(row, false),
    lose: row => void store.spoil(row, true),
  };
}

function sqlite(disk = new Disk()): Store {
  const store = new EntityStore(disk.sql);
  const entryAt = (row: number) => {
    const rows = disk.sql.exec('select seq, entry from log order by seq').toArray();
    const {seq, entry} = rows[row % rows.length]!;
    return {seq: Number(seq), entry: new Uint8Array(entry as ArrayBuffer)};
  };
  return {
    apply: effects => store.apply(SHAPE, IDENTITY, effects),
    load: () => store.load(SHAPE),
    reopened: () => sqlite(disk),
    after: (seq, limit) => store.after(seq, limit),
    before: (seq, limit) => store.before(seq, limit),
    pinned: index => store.pinned(index),
    staged: () => store.staged(),
    flip: (row, bit) => {
      const {seq, entry} = entryAt(row);
      entry[bit % entry.length]! ^= 1 << (bit % 8);
      disk.sql.exec('update log set entry = ? where seq = ?', entry, seq);
    },
    lose: row => void disk.sql.exec('delete from log where seq = ?', entryAt(row).seq),
  };
}

const STORES = [
  ['in memory', memory],
  ['on SQLite', sqlite],
] as const satisfies readonly (readonly [string, () => Store])[];

const rowsOf = (rows: readonly LogRow[]) => rows.map(({seq, entry}) => [seq, toHex(entry)] as const);

/** All that a replica can learn of its disk. */
function learned(store: Store) {
  const {document, keys, salvage, ...rest} = store.load();
  const {checkpointSeq, end, pinned, base} = rest;
  return {
    ...rest,
    state: toHex(encodeState(SHAPE, document)),
    keys: [...keys],
    salvage: salvage.map(toHex),
    after: [base.seq, checkpointSeq, end - 1, end].map(seq => rowsOf(store.after(Math.max(seq, base.seq), 3))),
    before: [end + 1, end, 2].map(seq => rowsOf(store.before(seq, 2))),
    pinnedChunks: Array.from({length: (pinned?.chunks ?? 0) + 1}, (_, at) =>
      toHex(store.pinned(at) ?? new Uint8Array()),
    ),
    staged: toHex(store.staged()),
  };
}

const hex = (number: number): ReplicaId => number.toString(16).padStart(16, '0') as ReplicaId;

type Move = {readonly kind: number; readonly size: number; readonly opens: boolean};
const MOVES = fc.array(fc.record({kind: fc.nat(9), size: fc.nat(5), opens: fc.boolean()}), {maxLength: 40});

/** Effects in an order in which a step may ask for them. */
function performed(
  store: Store,
  script: Parameters<typeof play>[1],
  moves: readonly Move[],
  each: (store: Store) => void,
) {
  const events = play(SUBJECTS, script).events.flatMap(event => event ?? []);
  let [document, time, end, checkpointSeq, at, chunks] = [EMPTY_DOCUMENT, {ms: 0, logical: 0}, 0, 0, 0, 0];
  let fresh: Mark[] = [];
  let now = store;
  now.apply([{type: 'create', id: ID, notes: NOTES}]);
  for (const {kind, size, opens} of moves) {
    const bytes = new Uint8Array(size + 1).fill(kind + size);
    const event = events[at];
    if (kind <= 4 && event) {
      const {head, delta, received} = event;
      const mark = size > 3 ? {key: `key-${at}`, fingerprint: new Uint8Array(8).fill(size)} : undefined;
      const entry = encodeEntry(SHAPE, {...head, command: 'do', ...(mark && {mark})}, delta);
      now.apply([{type: 'append', entries: [entry]}]);
      document = join(SHAPE, document, received);
      if (head.time.ms > time.ms || (head.time.ms === time.ms && head.time.logical > time.logical)) ({time} = head);
      if (mark) fresh.push({...mark, dot: {replica: head.replica, counter: head.counter}, time: head.time});
      [end, at] = [end + 1, at + 1];
    } else if (kind === 5) {
      const base = size > 4 ? {seq: end, vector: document.vector} : undefined;
      now.apply([{type: 'checkpoint', document, time, marks: fresh, base}]);
      [checkpointSeq, fresh] = [end, []];
    } else if (kind === 6 && checkpointSeq > size)
      now.apply([{type: 'trim', seq: checkpointSeq - size, base: {seq: checkpointSeq, vector: document.vector}}]);
    else if (kind === 7) {
      const notes = [
        {session: size},
        {sealed: [hex(size)]},
        {leaving: {}},
        {leaving: undefined},
        {registered: true},
        {usedMs: size},
      ];
      now.apply([{type: 'note', notes: notes[size]!}]);
      if (size === 5) now.apply([{type: 'rename', id: hex(at)}]);
    } else if (kind === 8) {
      if (size > 3 && chunks > 0) {
        now.apply([{type: 'unstage'}]);
        chunks = 0;
      } else now.apply([{type: 'stage', snapshot: hex(1), index: chunks++, bytes}]);
    } else if (kind === 9)
      now.apply([
        size > 3 ? {type: 'unpin'} : {type: 'pin', snapshot: hex(size), vector: EMPTY_VECTOR, chunks: [bytes, bytes]},
      ]);
    if (opens) {
      now = now.reopened();
      now.load();
    }
    each(now);
  }
  return {store: now, unread: end - checkpointSeq};
}

test('[STO1] whatever is written, every store gives back the same', () => {
  const property = fc.property(scriptOf(SUBJECTS, 14), MOVES, (script, moves) => {
    const told = STORES.map(([, make]) => {
      const all: unknown[] = [];
      const {store} = performed(make(), script, moves, now => all.push(rowsOf(now.before(1e9, 2))));
      return [...all, learned(store.reopened())];
    });
    expect(told[1]).toEqual(told[0]);
  });
  fc.assert(property, {numRuns: 200});
});

test.each(STORES)('[STO2] a flipped bit or a missing row is damage, and what is sound is salvaged (%s)', (_, make) => {
  const property = fc.property(scriptOf(SUBJECTS, 14), MOVES, fc.nat(), fc.boolean(), (script, moves, at, isGone) => {
    const appends = moves.map(move => ({...move, kind: move.kind === 5 || move.kind === 6 ? 0 : move.kind}));
    const {store, unread} = performed(make(), script, appends, () => {});
    // A row that is lost at the end looks like one that was never written; the fence sees that.
    fc.pre(unread > 1);
    const row = at % (unread - 1);
    if (isGone) store.lose(row);
    else store.flip(row, at);
    try {
      store.reopened().load();
    } catch (error) {
      expect(error).toBeInstanceOf(ReplicaDamaged);
      expect((error as ReplicaDamaged).salvaged.length).toBeLessThan(unread);
      return;
    }
    expect.fail('it was served');
  });
  fc.assert(property, {numRuns: 100});
});

test.each(STORES)('[STO3] what is dropped is gone, and the storage is as new (%s)', (_, make) => {
  const store = make();
  store.apply([{type: 'create', id: ID, notes: NOTES}, {type: 'drop'}]);
  store.apply([{type: 'create', id: hex(7), notes: NOTES}]);
  expect(store.reopened().load()).toMatchObject({id: hex(7), end: 0, checkpointSeq: 0, base: {seq: 0}});
});

test.each(STORES)(
  '[ACT13] a state of many rows comes back from its checkpoint as it was, in every type (%s)',
  (_, make) => {
    const property = fc.property(scriptOf(SUBJECTS, 14), fc.nat(), (script, at) => {
      const events = play(SUBJECTS, script).events.flatMap(event => event ?? []);
      const store = make();
      store.apply([{type: 'create', id: ID, notes: NOTES}]);
      let document = EMPTY_DOCUMENT;
      for (const [index, {head, delta, received}] of events.entries()) {
        const entry = encodeEntry(SHAPE, {...head, command: 'do'}, delta);
        store.apply([{type: 'append', entries: [entry]}]);
        document = join(SHAPE, document, received);
        // One checkpoint on the way and one at the end, so that the second writes only what has changed.
        if (index !== at % events.length && index !== events.length - 1) continue;
        store.apply([{type: 'checkpoint', document, time: head.time, marks: []}]);
      }
      const loaded = store.reopened().load();
      expect(loaded.checkpointSeq).toBe(events.length);
      expect(toHex(encodeState(SHAPE, loaded.document))).toBe(toHex(encodeState(SHAPE, document)));
    });
    fc.assert(property, {numRuns: 150});
  },
);
