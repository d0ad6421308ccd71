// What all encodings share. Replica ids cost eight bytes; inside one encoding they are places in its table. A table knows
// how far each replica had come, so a tag is how far it lies behind that, and a stamp how far it lies behind the latest:
// small numbers, and none that claims more than was seen.
import {asciiOf, DecodeError, EncodeError, Reader, Writer} from './bytes.ts';
import {compareTags, type Dot, REPLICA_ID_BYTES, type ReplicaId, type Tag} from './dot.ts';
import type {HybridTime} from './hybrid-clock.ts';
import {readUtf8, utf8Length, writeUtf8} from './utf8.ts';
import type {VersionVector} from './version-vector.ts';
import {VersionedMap} from './versioned-map.ts';

export interface EventHead extends Dot {
  readonly time: HybridTime;
}

/** Bytes that the keys of one encoding may have together, shared beginnings counted each time: what a reader allocates. */
export const KEY_BYTES_MAX = 16 * 1024 * 1024;
/** Keys below this are read one by one. */
const KEYS_AT_ONCE_MIN = 8;
const NIBBLE = 15;

/** The replicas of an encoding. The first ones have a ceiling, the greatest counter that a tag of theirs can have. */
export class ReplicaTable {
  readonly ids: ReplicaId[];
  readonly #ceilings: number[];
  /** By id, for tables that are too long to scan. */
  #indices: Map<ReplicaId, number> | undefined;

  constructor(ids: readonly ReplicaId[], ceilings: readonly number[]) {
    this.ids = [...ids];
    this.#ceilings = [...ceilings];
  }

  static ofVector(vector: VersionVector): ReplicaTable {
    const entries = inOrder(vector);
    return new ReplicaTable(
      entries.map(([id]) => id),
      entries.map(([, counter]) => counter),
    );
  }

  /** How many have a ceiling; the rest was added. */
  get known(): number {
    return this.#ceilings.length;
  }

  get added(): readonly ReplicaId[] {
    return this.ids.slice(this.known);
  }

  ceiling(index: number): number | undefined {
    return this.#ceilings[index];
  }

  find(id: ReplicaId): number {
    if (this.ids.length <= 16) return this.ids.indexOf(id);
    this.#indices ??= new Map(this.ids.map((known, index) => [known, index]));
    return this.#indices.get(id) ?? -1;
  }

  add(id: ReplicaId): number {
    this.#indices?.set(id, this.ids.length);
    return this.ids.push(id) - 1;
  }

  /** For tables that last: all ids have ceilings then, 0 where nothing was seen of them. */
  raise(index: number, ceiling: number): void {
    while (this.#ceilings.length < this.ids.length) this.#ceilings.push(0);
    this.#ceilings[index] = ceiling;
  }
}

// The low bits of a tag's first number; the replica is above them.
const [NEWEST, NEWEST_INDEXED, BEHIND, BEHIND_INDEXED, LIST] = [0, 1, 2, 3, 4];
const KINDS = 8;

export class Encoder extends Writer {
  readonly table: ReplicaTable;
  readonly #latest: HybridTime | undefined;
  #keyBytes = 0;

  constructor(table: ReplicaTable, latest?: HybridTime) {
    super();
    this.table = table;
    this.#latest = latest;
  }

  replicaIndex(id: ReplicaId): number {
    const index = this.table.find(id);
    return index < 0 ? this.table.add(id) : index;
  }

  replica(id: ReplicaId): void {
    this.varint(this.replicaIndex(id));
  }

  #tag({replica, counter, index}: Tag): void {
    const at = this.replicaIndex(replica);
    const ceiling = this.table.ceiling(at);
    const distance = ceiling === undefined ? counter : ceiling - counter;
    if (distance < 0) throw new EncodeError('tag of an event that was not seen');
    if (distance === 0) this.varint(at * KINDS + (index > 0 ? NEWEST_INDEXED : NEWEST));
    else {
      this.varint(at * KINDS + (index > 0 ? BEHIND_INDEXED : BEHIND));
      this.varint(distance);
    }
    if (index > 0) this.varint(index);
  }

  /** Writes in order of their tags, each followed by what `rest` writes of it. */
  tagged<T extends Tag>(writes: readonly T[], rest?: (write: T) => void): void {
    if (writes.length !== 1) this.varint(writes.length * KINDS + LIST);
    for (const write of writes) {
      this.#tag(write);
      rest?.(write);
    }
  }

  time({ms, logical}: HybridTime): void {
    if (!this.#latest) {
      this.varint(ms);
      return this.varint(logical);
    }
    const behind = this.#latest.ms - ms;
    const order = behind === 0 ? this.#latest.logical - logical : logical;
    if (behind < 0 || order < 0) throw new EncodeError('stamp later than the latest');
    this.varint(behind === 0 ? order * 2 : behind * 2 + 1);
    if (behind > 0) this.varint(logical);
  }

  /** Keys in their order, each without what it shares with the one before. */
  keys(keys: readonly string[]): void {
    let previous = '';
    for (const key of keys) {
      this.key(key, previous);
      previous = key;
    }
  }

  /** One key behind another one; the first is behind the empty one. */
  key(key: string, previous: string): void {
    const length = utf8Length(key);
    if (length === undefined) throw new EncodeError('string with a lone surrogate');
    if ((this.#keyBytes += length) > KEY_BYTES_MAX) throw new EncodeError('keys too long');
    // Where every unit is a byte the text is as good as its bytes, and making those costs more than all the rest.
    const plain = length === key.length;
    const shared = plain ? sharedUnits(previous, key) : sharedBytes(utf8Of(previous), utf8Of(key));
    const own = length - shared;
    this.byte(Math.min(shared, NIBBLE) * 16 + Math.min(own, NIBBLE));
    if (shared >= NIBBLE) this.varint(shared - NIBBLE);
    if (own >= NIBBLE) this.varint(own - NIBBLE);
    if (plain) this.ascii(key, shared);
    else this.raw(utf8Of(key).subarray(shared));
  }
}

function sharedUnits(a: string, b: string): number {
  const limit = Math.min(a.length, b.length);
  let shared = 0;
  while (shared < limit && a.charCodeAt(shared) === b.charCodeAt(shared)) shared++;
  return shared;
}

function sharedBytes(a: Uint8Array, b: Uint8Array): number {
  const limit = Math.min(a.length, b.length);
  let shared = 0;
  while (shared < limit && a[shared] === b[shared]) shared++;
  return shared;
}

function utf8Of(text: string): Uint8Array {
  const bytes = new Uint8Array(utf8Length(text)!);
  writeUtf8(text, bytes, 0);
  return bytes;
}

export class Decoder extends Reader {
  readonly table: ReplicaTable;
  /** What stamps are told from; some frames say it only once they are being read. */
  latest: HybridTime | undefined;
  #used: number;
  #keyBytes = 0;

  constructor(bytes: Uint8Array, table: ReplicaTable, latest?: HybridTime, at = 0) {
    super(bytes, at);
    this.table = table;
    this.latest = latest;
    this.#used = table.known;
  }

  replicaAt(index: number): ReplicaId {
    const id = this.table.ids[index];
    if (index < this.table.known) return id!;
    // Added replicas are in order of first use: any other order would be a second encoding of the same value.
    if (id === undefined || index > this.#used) throw new DecodeError('replica table out of order');
    if (index === this.#used) this.#used++;
    return id;
  }

  replica(): ReplicaId {
    return this.replicaAt(this.varint());
  }

  #tag(first: number): Tag {
    const at = Math.floor(first / KINDS);
    const kind = first % KINDS;
    if (kind > BEHIND_INDEXED) throw new DecodeError('unknown kind of tag');
    const replica = this.replicaAt(at);
    const ceiling = this.table.ceiling(at);
    const distance = kind >= BEHIND ? this.varint() : 0;
    const indexed = kind === NEWEST_INDEXED || kind === BEHIND_INDEXED;
    const index = indexed ? this.varint() : 0;
    const counter = ceiling === undefined ? distance : ceiling - distance;
    // A part has no context; everything else holds writes of events that it covers, or it could be joined and never written.
    if (ceiling === undefined && this.latest) throw new DecodeError('tag of an event that was not seen');
    if (counter < 1 || (kind >= BEHIND && distance === 0) || (indexed && index === 0))
      throw new DecodeError('tag is not canonical');
    return {replica, counter, index};
  }

  tagged<T extends Tag>(rest: (tag: Tag) => T): readonly T[];
  tagged(): readonly Tag[];
  tagged(rest?: (tag: Tag) => Tag): readonly Tag[] {
    const first = this.varint();
    if (first % KINDS !== LIST) {
      const tag = this.#tag(first);
      return [rest ? rest(tag) : tag];
    }
    const length = Math.floor(first / KINDS);
    if (length === 1 || length > this.remaining) throw new DecodeError('list of tags is not canonical');
    const writes: Tag[] = [];
    for (let left = length; left > 0; left--) {
      const tag = this.#tag(this.varint());
      if (writes.length > 0 && compareTags(writes.at(-1)!, tag) >= 0) throw new DecodeError('tags are not in order');
      writes.push(rest ? rest(tag) : tag);
    }
    return writes;
  }

  time(): HybridTime {
    const {latest} = this;
    if (!latest) return {ms: this.varint(), logical: this.varint()};
    const first = this.varint();
    const behind = first % 2 === 1 ? (first - 1) / 2 : 0;
    const time =
      first % 2 === 1
        ? {ms: latest.ms - behind, logical: this.varint()}
        : {ms: latest.ms, logical: latest.logical - first / 2};
    if (time.ms < 0 || time.logical < 0 || (first % 2 === 1 && behind === 0))
      throw new DecodeError('time is not canonical');
    return time;
  }

  keys(count: number): string[] {
    const [starts, bytes] = this.#expandedKeys(count);
    const whole = count >= KEYS_AT_ONCE_MIN ? asciiOf(bytes) : undefined;
    const keys: string[] = [];
    for (let at = 0; at < count; at++) {
      const [from, to] = [starts[at]!, starts[at + 1]!];
      const key = whole !== undefined && isAscii(bytes, from, to) ? whole.slice(from, to) : readUtf8(bytes, from, to);
      if (key === undefined) throw new DecodeError('key is not UTF-8');
      if (at > 0 && key <= keys[at - 1]!) throw new DecodeError('keys are not in order');
      keys.push(key);
    }
    return keys;
  }

  /** One key behind another one. */
  key(previous: string): string {
    const [shared, own] = this.#lengths();
    const before = utf8Of(previous);
    if (shared > before.length) throw new DecodeError('key shares more than there is');
    if ((this.#keyBytes += shared + own) > KEY_BYTES_MAX) throw new DecodeError('keys too long');
    const rest = this.raw(own);
    if (own > 0 && shared < before.length && before[shared] === rest[0])
      throw new DecodeError('key shares less than it could');
    const bytes = new Uint8Array(shared + own);
    bytes.set(before.subarray(0, shared));
    bytes.set(rest, shared);
    const key = readUtf8(bytes);
    if (key === undefined) throw new DecodeError('key is not UTF-8');
    return key;
  }

  #lengths(): [shared: number, own: number] {
    const lengths = this.byte();
    const shared = lengths >> 4 === NIBBLE ? NIBBLE + this.varint() : lengths >> 4;
    const own = lengths % 16 === NIBBLE ? NIBBLE + this.varint() : lengths % 16;
    return [shared, own];
  }

  /** The keys with what they share, one after the other, and where each starts. */
  #expandedKeys(count: number): [starts: Uint32Array, bytes: Uint8Array] {
    const starts = new Uint32Array(count + 1);
    let bytes = new Uint8Array(Math.max(64, count * 16));
    for (let at = 0; at < count; at++) {
      const [shared, own] = this.#lengths();
      const [start, before] = [starts[at]!, at > 0 ? starts[at - 1]! : 0];
      const end = start + shared + own;
      if (shared > start - before) throw new DecodeError('key shares more than there is');
      this.#keyBytes += shared + own;
      if (this.#keyBytes > KEY_BYTES_MAX) throw new DecodeError('keys too long');
      if (own > this.remaining) throw new DecodeError('ends too early');
      if (end > bytes.length) {
        const grown = new Uint8Array(Math.max(end, bytes.length * 2));
        grown.set(bytes);
        bytes = grown;
      }
      // A call into the engine costs more than these few bytes.
      for (let index = 0; index < shared; index++) bytes[start + index] = bytes[before + index]!;
      this.copyTo(bytes, start + shared, own);
      // Sharing one byte less would be a second encoding of the same key.
      if (own > 0 && before + shared < start && bytes[before + shared] === bytes[start + shared])
        throw new DecodeError('key shares less than it could');
      starts[at + 1] = end;
    }
    return [starts, bytes.subarray(0, starts[count])];
  }

  /** What was not known when the encoding was made must be in use. */
  endTable(): void {
    if (this.#used < this.table.ids.length) throw new DecodeError('replica that nothing uses');
  }
}

function isAscii(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (bytes[at]! >= 0x80) return false;
  return true;
}

const isInOrder = (keys: readonly string[]): boolean => {
  for (let at = 1; at < keys.length; at++) if (keys[at - 1]! > keys[at]!) return false;
  return true;
};

/** Map entries in canonical order of their keys. */
export function inOrder<K extends string, V>(map: ReadonlyMap<K, V>): [K, V][] {
  const entries = [...map];
  for (let at = 1; at < entries.length; at++)
    if (entries[at - 1]![0] > entries[at]![0]) return entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return entries;
}

/** Reads entries whose keys must ascend strictly. */
export function readInOrder<K extends string, V>(
  count: number,
  key: () => K,
  value: (key: K) => V,
): VersionedMap<K, V> {
  const keys: K[] = [];
  const values: V[] = [];
  for (let left = count; left > 0; left--) {
    const next = key();
    if (keys.length > 0 && next <= keys.at(-1)!) throw new DecodeError('keys are not in order');
    keys.push(next);
    values.push(value(next));
  }
  return VersionedMap.ofArrays(keys, values);
}

export function encodeReplica(writer: Writer, id: ReplicaId): void {
  writer.hex(id);
}

const ID_CACHE = 1024;
const knownIds: ({high: number; low: number; id: ReplicaId} | undefined)[] = Array.from({length: ID_CACHE});

const hexWord = (word: number): string => (word >>> 0).toString(16).padStart(8, '0');

/** The engine's own copy of the text: two of those are compared at a glance, and ids are compared more than anything else. */
export const internId = (id: ReplicaId): ReplicaId => Object.keys({[id]: true})[0] as ReplicaId;

/** The same text for the same id as long as few are in use: making it costs more than the rest of an event. */
export function decodeReplica(reader: Reader): ReplicaId {
  const high = reader.word();
  const low = reader.word();
  const slot = (high ^ low) & (ID_CACHE - 1);
  const known = knownIds[slot];
  if (known?.high === high && known.low === low) return known.id;
  const id = internId((hexWord(high) + hexWord(low)) as ReplicaId);
  knownIds[slot] = {high, low, id};
  return id;
}

/** A version vector with its ids in full, for places that have no table. */
export function encodeVector(writer: Writer, vector: VersionVector): void {
  writer.varint(vector.size);
  const ids = [...vector.keys()];
  for (const replica of isInOrder(ids) ? ids : ids.sort()) {
    encodeReplica(writer, replica);
    writer.varint(vector.get(replica)!);
  }
}

export function decodeVector(reader: Reader): VersionedMap<ReplicaId, number> {
  return readInOrder(
    reader.count(REPLICA_ID_BYTES + 1),
    () => decodeReplica(reader),
    () => {
      const counter = reader.varint();
      if (counter === 0) throw new DecodeError('vector is not canonical');
      return counter;
    },
  );
}
