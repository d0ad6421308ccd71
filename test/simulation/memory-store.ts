// A disk in memory that keeps the contract of mesh/store.ts, for simulations: what is on it outlives the instance, and it can
// be copied, put back, emptied and spoilt. Like the real one, it checks whatever it reads.
import {concat} from '../../crdt/bytes.ts';
import {type Document, EMPTY_DOCUMENT, type Shape} from '../../crdt/document.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import {EPOCH, type HybridTime} from '../../crdt/hybrid-clock.ts';
import {EMPTY_VECTOR} from '../../crdt/version-vector.ts';
import {type Mark, NO_KEYS, pruned, withMark} from '../../mesh/keys.ts';
import {Replay} from '../../mesh/replay.ts';
import {
  type Log,
  type LogBase,
  type LogRow,
  type Notes,
  type Pinned,
  ReplicaDamaged,
  type Stored,
  type StoreEffect,
} from '../../mesh/store.ts';

interface Row extends LogRow {
  /** What was given to be kept: the real store compares a hash, which says the same and costs more. */
  readonly written: Uint8Array;
}

interface Checkpoint {
  readonly document: Document;
  /** Fields that only another build knows, as it left them. */
  readonly foreign: ReadonlyMap<string, unknown>;
  readonly time: HybridTime;
  readonly seq: number;
}

const rowOf = (seq: number, entry: Uint8Array): Row => ({seq, entry, written: entry});

export class MemoryStore implements Log {
  #id: ReplicaId | undefined;
  #notes: Notes | undefined;
  #rows: Row[] = [];
  #trimmed = 0;
  #base: LogBase = {seq: 0, vector: EMPTY_VECTOR};
  #checkpoint: Checkpoint | undefined;
  #foreign: ReadonlyMap<string, unknown> = new Map();
  #marks: Mark[] = [];
  #incoming: {snapshot: string; chunks: Uint8Array[]} | undefined;
  #outgoing: {pinned: Pinned; chunks: readonly Uint8Array[]} | undefined;
  #salvage: readonly Uint8Array[] = [];

  get exists(): boolean {
    return this.#id !== undefined;
  }

  get id(): ReplicaId | undefined {
    return this.#id;
  }

  get end(): number {
    return this.#trimmed + this.#rows.length;
  }

  /** Of whom nothing more is taken that they send themselves. */
  get renounced(): readonly ReplicaId[] {
    return [...(this.#notes?.sealed ?? []), ...(this.#notes?.forgotten ?? [])];
  }

  copy(): MemoryStore {
    const other = new MemoryStore();
    other.#id = this.#id;
    other.#notes = this.#notes;
    other.#rows = [...this.#rows];
    other.#trimmed = this.#trimmed;
    other.#base = this.#base;
    other.#checkpoint = this.#checkpoint;
    other.#foreign = this.#foreign;
    other.#marks = [...this.#marks];
    other.#incoming = this.#incoming && {...this.#incoming, chunks: [...this.#incoming.chunks]};
    other.#outgoing = this.#outgoing;
    other.#salvage = this.#salvage;
    return other;
  }

  apply(effects: readonly StoreEffect[]): void {
    for (const effect of effects) this.#apply(effect);
  }

  #apply(effect: StoreEffect): void {
    switch (effect.type) {
      case 'create':
        this.#id = effect.id;
        this.#notes = effect.notes;
        return;
      case 'append':
        for (const entry of effect.entries) this.#rows.push(rowOf(this.end + 1, entry));
        return;
      case 'note':
        this.#notes = {...this.#notes!, ...effect.notes};
        return;
      case 'rename':
        this.#id = effect.id;
        return;
      case 'checkpoint':
        this.#checkpoint = {document: effect.document, foreign: this.#foreign, time: effect.time, seq: this.end};
        this.#marks.push(...effect.marks);
        if (effect.base) this.#base = effect.base;
        return;
      case 'trim':
        this.#rows.splice(0, effect.seq - this.#trimmed);
        this.#trimmed = Math.max(this.#trimmed, effect.seq);
        this.#base = effect.base;
        return;
      case 'stage':
        if (effect.index === 0) this.#incoming = {snapshot: effect.snapshot, chunks: []};
        this.#incoming!.chunks[effect.index] = effect.bytes;
        return;
      case 'unstage':
        this.#incoming = undefined;
        return;
      case 'pin':
        this.#outgoing = {
          pinned: {snapshot: effect.snapshot, vector: effect.vector, chunks: effect.chunks.length},
          chunks: effect.chunks,
        };
        return;
      case 'unpin':
        this.#outgoing = undefined;
        return;
      case 'drop': {
        Object.assign(this, new MemoryStore());
        this.#reset();
        return;
      }
      default:
        return effect satisfies never;
    }
  }

  #reset(): void {
    this.#id = undefined;
    this.#notes = undefined;
    this.#rows = [];
    this.#trimmed = 0;
    this.#base = {seq: 0, vector: EMPTY_VECTOR};
    this.#checkpoint = undefined;
    this.#foreign = new Map();
    this.#marks = [];
    this.#incoming = undefined;
    this.#outgoing = undefined;
  }

  quarantine(salvaged: readonly Uint8Array[]): void {
    this.#reset();
    this.#salvage = [...this.#salvage, ...salvaged];
  }

  /** Flips a bit in a row, or takes one away; says whether there was one. `shows`: unless nobody would notice (planted). */
  spoil(at: number, isGone: boolean, shows = true): boolean {
    const index = this.#rows.length === 0 ? -1 : at % this.#rows.length;
    const row = this.#rows[index];
    // Rows before the checkpoint are read when somebody needs them; here what is read at opening is spoilt.
    if (!row || row.seq <= (this.#checkpoint?.seq ?? 0)) return false;
    const entry = row.entry.slice();
    entry[at % entry.length]! ^= 1 << (at % 8);
    if (isGone) this.#rows[index] = {...row, seq: -1};
    else this.#rows[index] = {...row, entry, written: shows ? row.written : entry};
    return true;
  }

  after(seq: number, limit: number): readonly LogRow[] {
    const from = Math.max(0, seq - this.#trimmed);
    const rows = this.#rows.slice(from, from + limit);
    for (const row of rows)
      if (row.seq < 0 || row.written !== row.entry) throw this.#damaged('a log row is not what was written');
    return rows;
  }

  before(seq: number, limit: number): readonly LogRow[] {
    const to = Math.max(0, Math.min(seq - 1 - this.#trimmed, this.#rows.length));
    return this.#rows.slice(Math.max(0, to - limit), to).reverse();
  }

  pinned(index: number): Uint8Array | undefined {
    return this.#outgoing?.chunks[index];
  }

  staged(): Uint8Array {
    return concat(this.#incoming?.chunks ?? []);
  }

  #damaged(what: string): ReplicaDamaged {
    const sound = this.#rows.filter(({seq, entry, written}) => seq > 0 && entry === written).map(({entry}) => entry);
    return new ReplicaDamaged(what, sound, this.#id);
  }

  load(shape: Shape): Stored {
    const {document: start, time: startTime, seq} = this.#checkpoint ?? {document: EMPTY_DOCUMENT, time: EPOCH, seq: 0};
    const all = [...start.fields, ...(this.#checkpoint?.foreign ?? [])];
    const isKnown = ([name]: readonly [string, unknown]) => shape.has(name);
    this.#foreign = new Map(all.filter(field => !isKnown(field)));
    const fields = all.every(isKnown) ? new Map(all) : new Map(all.filter(isKnown));
    let keys = NO_KEYS;
    for (const mark of this.#marks) ({keys} = withMark(keys, mark));
    const replay = new Replay(shape, this.#notes!.forgotten, {document: {...start, fields}, time: startTime, keys});
    for (const {entry, written, seq: at} of this.#rows.slice(Math.max(0, seq - this.#trimmed))) {
      if (at < 0 || entry !== written) throw this.#damaged('a log row is not what was written');
      replay.take(entry);
    }
    const notes = this.#notes!;
    return {
      ...notes,
      id: this.#id!,
      document: replay.document,
      time: replay.time,
      keys: pruned(replay.keys),
      freshMarks: replay.freshMarks,
      end: this.end,
      base: this.#base,
      checkpointSeq: seq,
      staged: this.#incoming && {snapshot: this.#incoming.snapshot, chunks: this.#incoming.chunks.length},
      pinned: this.#outgoing?.pinned,
      salvage: notes.recovering ? this.#salvage : [],
    };
  }
}
