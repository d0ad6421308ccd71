// Replica ids cost eight bytes; inside one encoding they are indices into its table. A delta's encoding is relative to its
// event: the origin is index 0 and needs no table, the event's own tags and stamp are one byte. A state's is relative to
// nothing, so that two replicas write the same bytes.
import {DecodeError, fromHex, Reader, toHex, Writer} from './bytes.ts';
import {compareTags, type Dot, REPLICA_ID_BYTES, type ReplicaId, type Tag} from './dot.ts';
import {compareTimes, decodeTime, encodeTime, type HybridTime} from './hybrid-clock.ts';
import type {VersionVector} from './version-vector.ts';

export interface EventHead extends Dot {
  readonly time: HybridTime;
}

export class Encoder extends Writer {
  readonly #event: EventHead | undefined;
  readonly #table = new Map<ReplicaId, number>();

  constructor(event?: EventHead) {
    super();
    this.#event = event;
    if (event) this.#table.set(event.replica, 0);
  }

  replica(id: ReplicaId): void {
    let index = this.#table.get(id);
    if (index === undefined) this.#table.set(id, (index = this.#table.size));
    this.varint(index);
  }

  tag({replica, counter, index}: Tag): void {
    if (this.#event && replica === this.#event.replica && counter === this.#event.counter) {
      this.varint(0); // No event has counter 0, so this says "of the event itself".
      return this.varint(index);
    }
    this.varint(counter);
    this.replica(replica);
    this.varint(index);
  }

  tags(tags: readonly Tag[]): void {
    this.varint(tags.length);
    for (const tag of tags) this.tag(tag);
  }

  time(time: HybridTime): void {
    if (this.#event && compareTimes(time, this.#event.time) === 0) return this.byte(0);
    this.byte(1);
    encodeTime(this, time);
  }

  /** The table, then what was written. */
  override finish(): Uint8Array {
    const whole = new Writer();
    const ids = [...this.#table.keys()].slice(this.#event ? 1 : 0);
    whole.varint(ids.length);
    for (const id of ids) whole.raw(fromHex(id));
    whole.raw(super.finish());
    return whole.finish();
  }
}

export class Decoder extends Reader {
  readonly #event: EventHead | undefined;
  readonly #table: readonly ReplicaId[];
  #used: number;

  constructor(bytes: Uint8Array, event?: EventHead) {
    super(bytes);
    this.#event = event;
    const ids = Array.from(
      {length: this.count(REPLICA_ID_BYTES)},
      () => toHex(this.raw(REPLICA_ID_BYTES)) as ReplicaId,
    );
    this.#table = event ? [event.replica, ...ids] : ids;
    if (new Set(this.#table).size < this.#table.length) throw new DecodeError('replica twice in the table');
    this.#used = event ? 1 : 0;
  }

  replica(): ReplicaId {
    const index = this.varint();
    const id = this.#table[index];
    // The table is in order of first use: any other order would be a second encoding of the same value.
    if (id === undefined || index > this.#used) throw new DecodeError('replica table out of order');
    if (index === this.#used) this.#used++;
    return id;
  }

  tag(): Tag {
    const counter = this.varint();
    if (counter === 0) {
      if (!this.#event) throw new DecodeError('tag without its event');
      return {replica: this.#event.replica, counter: this.#event.counter, index: this.varint()};
    }
    const tag = {counter, replica: this.replica(), index: this.varint()};
    if (this.#event && tag.replica === this.#event.replica && counter === this.#event.counter)
      throw new DecodeError('tag is not canonical');
    return tag;
  }

  tags(): readonly Tag[] {
    const tags = Array.from({length: this.count(2)}, () => this.tag());
    for (let index = 1; index < tags.length; index++)
      if (compareTags(tags[index - 1]!, tags[index]!) >= 0) throw new DecodeError('tags are not in order');
    return tags;
  }

  time(): HybridTime {
    const explicit = this.byte();
    if (explicit > 1) throw new DecodeError('unknown kind of time');
    if (explicit === 0) {
      if (!this.#event) throw new DecodeError('time without its event');
      return this.#event.time;
    }
    const time = decodeTime(this);
    if (this.#event && compareTimes(time, this.#event.time) === 0) throw new DecodeError('time is not canonical');
    return time;
  }

  override end(): void {
    if (this.#used < this.#table.length) throw new DecodeError('replica that nothing uses');
    super.end();
  }
}

/** Map entries in canonical order of their keys. */
export const inOrder = <K extends string, V>(map: ReadonlyMap<K, V>): [K, V][] =>
  [...map].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));

/** Reads `count` entries whose keys must ascend strictly. */
export function readInOrder<K extends string, V>(
  decoder: Decoder,
  bytesEach: number,
  key: () => K,
  value: () => V,
): ReadonlyMap<K, V> {
  const map = new Map<K, V>();
  let previous: K | undefined;
  for (let left = decoder.count(bytesEach); left > 0; left--) {
    const next = key();
    if (previous !== undefined && next <= previous) throw new DecodeError('keys are not in order');
    map.set(next, value());
    previous = next;
  }
  return map;
}

/** A version vector with its ids in full, for places that have no table. */
export function encodeVector(writer: Writer, vector: VersionVector): void {
  writer.varint(vector.size);
  for (const [replica, counter] of inOrder(vector)) {
    writer.raw(fromHex(replica));
    writer.varint(counter);
  }
}

export function decodeVector(reader: Reader): VersionVector {
  const vector = new Map<ReplicaId, number>();
  let previous = '';
  for (let left = reader.count(REPLICA_ID_BYTES + 1); left > 0; left--) {
    const replica = toHex(reader.raw(REPLICA_ID_BYTES)) as ReplicaId;
    const counter = reader.varint();
    if (replica <= previous || counter === 0) throw new DecodeError('vector is not canonical');
    vector.set(replica, counter);
    previous = replica;
  }
  return vector;
}
