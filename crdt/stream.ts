// One replica's own events on their way to another over a connection that keeps their order. Both ends remember what was
// said before: replicas, fields and the sender's vector, so a frame says only what is new. A frame that is lost or spoiled
// ends the stream; the next one starts from nothing, with the same meaning and more bytes.
import {DecodeError, EncodeError, Writer} from './bytes.ts';
import {Decoder, decodeReplica, Encoder, encodeReplica, ReplicaTable} from './codec.ts';
import {type AnyCrdtType, createKeeper, type Delta, EMPTY_DOCUMENT, opaqueKey, type Shape} from './document.ts';
import {REPLICA_ID_BYTES, type ReplicaId} from './dot.ts';
import {EPOCH, type HybridTime} from './hybrid-clock.ts';
import {before, counterOf, EMPTY_VECTOR, type VersionVector} from './version-vector.ts';
import {VersionedMap} from './versioned-map.ts';

/** What a stream remembers of either, at most: a sender must not make its receiver grow without bounds. */
export const STREAM_REPLICAS_MAX = 65_536;
export const STREAM_FIELDS_MAX = 4_096;

const FORMAT = 1;
/** The low bits of a frame's first byte. */
const [NEW_REPLICAS, HEARD, MANY_EVENTS, MANY_FIELDS] = [1, 2, 4, 8];
const ALL_FLAGS = 15;
/** One byte says who was heard, of how many events, and whether more follow, while the numbers are small. */
const HEARD_SMALL = 8;
const MORE_HEARD = 1;
/** Up to here a scan finds who was heard twice. */
const HEARD_SCANNED_MAX = 16;

interface KnownField {
  readonly name: string;
  readonly code: number;
}

export class StreamEncoder {
  readonly #shape: Shape;
  readonly #self: ReplicaId;
  readonly #table = new ReplicaTable([], []);
  readonly #fields = new Map<string, number>();
  #told: VersionVector = EMPTY_VECTOR;
  #latest: HybridTime = EPOCH;
  #started = false;

  constructor(shape: Shape, self: ReplicaId) {
    this.#shape = shape;
    this.#self = self;
    this.#table.raise(this.#table.add(self), 0);
  }

  /** `delta` holds events of this stream's own replica, the next ones after those of the last frame. */
  encode(delta: Delta): Uint8Array {
    const table = this.#table;
    const idsBefore = this.#started ? table.ids.length : 0;
    const heard = this.#hear(delta.vector);
    const events = counterOf(delta.vector, this.#self) - counterOf(delta.since, this.#self);
    if (events < 1 || delta.opaque.size > 0) throw new EncodeError('a stream carries events of its own replica');
    table.raise(0, counterOf(delta.vector, this.#self));
    const body = this.#body(delta);
    const writer = new Writer();
    if (!this.#started) writer.byte(FORMAT);
    const added = table.ids.slice(idsBefore);
    writer.byte(
      (added.length > 0 ? NEW_REPLICAS : 0) |
        (heard.length > 0 ? HEARD : 0) |
        (events > 1 ? MANY_EVENTS : 0) |
        (delta.fields.size === 1 ? 0 : MANY_FIELDS),
    );
    if (added.length > 0) {
      writer.varint(added.length);
      for (const id of added) encodeReplica(writer, id);
    }
    // The first frame cannot tell how far its own replica had come from what was said before.
    if (!this.#started) writer.varint(counterOf(delta.since, this.#self));
    if (events > 1) writer.varint(events);
    for (let at = 0; at < heard.length; at += 2) {
      const [index, by] = [heard[at]!, heard[at + 1]!];
      const more = at + 2 < heard.length ? MORE_HEARD : 0;
      writer.varint((index * HEARD_SMALL + (by < HEARD_SMALL ? by : 0)) * 2 + more);
      if (by >= HEARD_SMALL) writer.varint(by);
    }
    const {ms, logical} = this.#latest;
    const later = delta.latest.ms - ms;
    writer.varint(later === 0 ? (delta.latest.logical - logical) * 2 : later * 2 + 1);
    if (later !== 0) writer.varint(delta.latest.logical);
    writer.raw(body);
    this.#told = delta.vector;
    this.#latest = delta.latest;
    this.#started = true;
    return writer.finish();
  }

  /** Who was heard since the last frame, and of how many events, in pairs. */
  #hear(vector: VersionVector): readonly number[] {
    const heard: number[] = [];
    const map = VersionedMap.of(vector);
    const [replicas, counters] = [map.keyArray(), map.valueArray()];
    for (let at = 0; at < replicas.length; at++) {
      const [replica, counter] = [replicas[at]!, counters[at]!];
      if (replica === this.#self) continue;
      const by = counter - counterOf(this.#told, replica);
      if (by === 0) continue;
      const known = this.#table.find(replica);
      const index = known < 0 ? this.#table.add(replica) : known;
      this.#table.raise(index, counter);
      heard.push(index, by);
    }
    return heard;
  }

  #body({fields, latest}: Delta): Uint8Array {
    const encoder = new Encoder(this.#table, latest);
    const idsBefore = this.#table.ids.length;
    const listed = VersionedMap.of(fields);
    const [names, states] = [listed.keyArray(), listed.valueArray()];
    if (names.length !== 1) encoder.varint(names.length);
    for (let at = 0; at < names.length; at++) {
      const name = names[at]!;
      const type = this.#shape.get(name);
      if (!type) throw new EncodeError(`field outside the shape: ${name}`);
      const index = this.#fields.get(name);
      encoder.varint(index ?? this.#fields.size);
      if (index === undefined) {
        this.#fields.set(name, this.#fields.size);
        encoder.string(name);
        encoder.varint(type.code);
      }
      const from = encoder.length;
      type.encode(encoder, states[at], true);
      if (at + 1 < names.length) encoder.prefixLength(from); // The last one ends with the frame.
    }
    for (let index = idsBefore; index < this.#table.ids.length; index++) this.#table.raise(index, 0);
    return encoder.finish();
  }
}

export class StreamDecoder {
  readonly #shape: Shape;
  readonly #table = new ReplicaTable([], []);
  readonly #fields: KnownField[] = [];
  #vector: VersionVector = EMPTY_VECTOR;
  #latest: HybridTime = EPOCH;
  #started = false;
  #broken = false;

  constructor(shape: Shape) {
    this.#shape = shape;
  }

  /**
   * Reads the frame that `bytes` hold, from `at` to their end. Throws DecodeError for what is no next frame of this stream,
   * and for everything after that.
   */
  decode(bytes: Uint8Array, at = 0): Delta {
    if (this.#broken) throw new DecodeError('the stream has ended');
    this.#broken = true;
    const reader = new Decoder(bytes, this.#table, EPOCH, at);
    if (!this.#started && reader.byte() !== FORMAT) throw new DecodeError('unknown format of a stream');
    const flags = reader.byte();
    if (flags > ALL_FLAGS) throw new DecodeError('unknown flags of a frame');
    if (flags & NEW_REPLICAS) this.#addReplicas(reader);
    const self = this.#table.ids[0];
    if (self === undefined) throw new DecodeError('a stream of nobody');
    const from = this.#started ? this.#table.ceiling(0)! : reader.varint();
    const events = flags & MANY_EVENTS ? reader.varint() : 1;
    if (events < (flags & MANY_EVENTS ? 2 : 1)) throw new DecodeError('frame is not canonical');
    const replicas: ReplicaId[] = [self];
    const counters: number[] = [this.#raise(0, from + events)];
    let many: Set<ReplicaId> | undefined;
    for (let more = (flags & HEARD) !== 0; more;) {
      const first = reader.varint();
      more = first % 2 === MORE_HEARD;
      const index = Math.floor(first / (2 * HEARD_SMALL));
      const small = Math.floor(first / 2) % HEARD_SMALL;
      const by = small === 0 ? reader.varint() : small;
      if (small === 0 && by < HEARD_SMALL) throw new DecodeError('frame is not canonical');
      const id = this.#table.ids[index];
      if (id === undefined || (many ? many.has(id) : replicas.includes(id))) throw new DecodeError('heard of nobody');
      replicas.push(id);
      if (many) many.add(id);
      else if (replicas.length > HEARD_SCANNED_MAX) many = new Set(replicas);
      counters.push(this.#raise(index, this.#table.ceiling(index)! + by));
    }
    const vector = VersionedMap.of(this.#vector).change(replicas, counters);
    const latest = this.#time(reader);
    const since = before(vector, {replica: self, counter: from + 1});
    reader.latest = latest;
    const delta = this.#body(reader, flags, vector, since, latest);
    this.#vector = vector;
    this.#latest = latest;
    this.#started = true;
    this.#broken = false;
    return delta;
  }

  #raise(index: number, counter: number): number {
    if (!Number.isSafeInteger(counter)) throw new DecodeError('counter too large');
    this.#table.raise(index, counter);
    return counter;
  }

  #addReplicas(reader: Decoder): void {
    const table = this.#table;
    for (let left = reader.count(REPLICA_ID_BYTES); left > 0; left--) {
      const id = decodeReplica(reader);
      if (table.find(id) >= 0) throw new DecodeError('replica twice in the table');
      if (table.ids.length >= STREAM_REPLICAS_MAX) throw new DecodeError('too many replicas');
      table.raise(table.add(id), 0);
    }
  }

  #time(reader: Decoder): HybridTime {
    const {ms, logical} = this.#latest;
    const first = reader.varint();
    const time =
      first % 2 === 0 ? {ms, logical: logical + first / 2} : {ms: ms + (first - 1) / 2, logical: reader.varint()};
    if (!Number.isSafeInteger(time.ms) || !Number.isSafeInteger(time.logical)) throw new DecodeError('time too late');
    return time;
  }

  #body(decoder: Decoder, flags: number, vector: VersionVector, since: VersionVector, latest: HybridTime): Delta {
    const names: string[] = [];
    const states: unknown[] = [];
    let opaque: Map<string, readonly Uint8Array[]> | undefined;
    let keep: ((payload: Uint8Array) => Uint8Array) | undefined;
    for (let left = flags & MANY_FIELDS ? decoder.count(2) : 1; left > 0; left--) {
      const {name, code} = this.#field(decoder);
      if (names.includes(name)) throw new DecodeError('field twice in a frame');
      const length = left > 1 ? decoder.count() : decoder.remaining;
      const type: AnyCrdtType | undefined = this.#shape.get(name);
      if (type?.code !== code) {
        const key = opaqueKey(name, code);
        keep ??= createKeeper(this.#table, latest, since);
        if (opaque?.has(key)) throw new DecodeError('field twice in a frame');
        (opaque ??= new Map()).set(key, [keep(decoder.raw(length))]);
        continue;
      }
      const outer = decoder.enter(length);
      states.push(type.decode(decoder, true));
      names.push(name);
      decoder.leave(outer);
    }
    decoder.end();
    return {
      fields: VersionedMap.ofArrays(names, states),
      opaque: opaque ?? EMPTY_DOCUMENT.opaque,
      vector,
      since,
      latest,
    };
  }

  #field(decoder: Decoder): KnownField {
    const index = decoder.varint();
    if (index < this.#fields.length) return this.#fields[index]!;
    if (index > this.#fields.length || index >= STREAM_FIELDS_MAX) throw new DecodeError('unknown field of a stream');
    const field = {name: decoder.string(), code: decoder.varint()};
    this.#fields.push(field);
    return field;
  }
}
