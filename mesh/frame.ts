// A frame: a run of log entries, and the vector that its receiver must already cover (the causal delta-merging condition
// of Almeida, Shoker, Baquero 2018). Entries travel as the bytes that were stored.
import {DecodeError, Reader, toHex, Writer} from '../crdt/bytes.ts';
import {decodeReplica, decodeVector, encodeReplica, encodeVector} from '../crdt/codec.ts';
import type {Shape} from '../crdt/document.ts';
import type {Dot, ReplicaId} from '../crdt/dot.ts';
import {counterOf, type VersionVector, withDot} from '../crdt/version-vector.ts';
import {readRun, writeRun} from './entry-run.ts';
import {hasAmounts} from './entry.ts';
import {decodeMarks, encodeMarks, type Mark} from './keys.ts';

export const FRAME_BYTES_MAX = 256 * 1024;
/** What a frame leaves free of entries for its head. */
export const FRAME_ENTRIES_BYTES_MAX = FRAME_BYTES_MAX - 8 * 1024;
/** 1 had entries alone, 2 each of them in full. */
export const PROTOCOL = 3;
export const OLDEST_PROTOCOL = 2;
/** Bytes of a snapshot that travel at once. */
export const CHUNK_BYTES = 128 * 1024;
const PULL = 1;
/** Several entries, each told by what differs from the one before. */
const RUN = 2;

/** What a receiver has of a snapshot that is on its way. */
export interface Staged {
  readonly snapshot: string;
  readonly chunks: number;
}

/** What a frame carries beside entries, for a receiver that the log does not reach back to, or costs more than the state. */
export type Body =
  | {readonly type: 'entries'}
  /** What changed since the condition, coalesced: one partial state. */
  | {readonly type: 'changes'; readonly bytes: Uint8Array}
  /** A whole state. */
  | {readonly type: 'state'; readonly bytes: Uint8Array}
  /** Asks for digests by key range; the frame's `since` is what its sender has. */
  | {readonly type: 'offer'}
  /** The ranges of keys in which the digests differ. */
  | {readonly type: 'ranges'; readonly bytes: Uint8Array}
  /** Part of a state that does not fit into one frame. It is kept until all are there, and then joined at once. */
  | {
      readonly type: 'chunk';
      readonly snapshot: string;
      readonly index: number;
      readonly total: number;
      readonly bytes: Uint8Array;
    };

const BODIES = ['entries', 'changes', 'state', 'offer', 'ranges', 'chunk'] as const;

export interface Frame {
  /** Version of the policy that let the frame out: a receiver that knows less reads up on it first. */
  readonly policyVersion: number;
  readonly schemaHash: number;
  /** The region that sends, which is where the answer's consequences go. */
  readonly from: string;
  /** The replica that sends, and the membership that it knows. */
  readonly replica: ReplicaId;
  readonly epoch: number;
  /** What the receiver must cover for these entries to be applied. */
  readonly since: VersionVector;
  /** Set when the sender asks for everything it lacks: what it has. */
  readonly pull?: VersionVector;
  readonly staged?: Staged | undefined;
  /** Regions the sender cannot reach; the receiver passes on what they lack. */
  readonly relay: readonly string[];
  readonly entries: readonly Uint8Array[];
  readonly body: Body;
  /** Idempotency keys of what the body brings, which entries carry themselves. */
  readonly marks: readonly Mark[];
}

function encodeStaged(writer: Writer, staged: Staged | undefined): void {
  writer.varint(staged ? staged.chunks : 0);
  if (staged && staged.chunks > 0) writer.hex(staged.snapshot);
}

function decodeStaged(reader: Reader): Staged | undefined {
  const chunks = reader.varint();
  return chunks === 0 ? undefined : {snapshot: toHex(reader.raw(SNAPSHOT_ID_BYTES)), chunks};
}

export const SNAPSHOT_ID_BYTES = 8;

function encodeBody(writer: Writer, body: Body): void {
  writer.byte(BODIES.indexOf(body.type));
  if (body.type === 'chunk') {
    writer.hex(body.snapshot);
    writer.varint(body.index);
    writer.varint(body.total);
  }
  if ('bytes' in body) writer.bytes(body.bytes);
}

function decodeBody(reader: Reader): Body {
  const type = BODIES[reader.byte()];
  switch (type) {
    case 'entries':
    case 'offer':
      return {type};
    case 'changes':
    case 'state':
    case 'ranges':
      return {type, bytes: reader.bytes().slice()};
    case 'chunk': {
      const snapshot = toHex(reader.raw(SNAPSHOT_ID_BYTES));
      const [index, total] = [reader.varint(), reader.varint()];
      if (index >= total) throw new DecodeError('a chunk beyond the last');
      return {type, snapshot, index, total, bytes: reader.bytes().slice()};
    }
    case undefined:
      throw new DecodeError('unknown body of a frame');
    default:
      return type satisfies never;
  }
}

export function encodeFrame(frame: Frame): Uint8Array {
  const writer = new Writer();
  const isRun = frame.entries.length > 1;
  writer.byte(PROTOCOL);
  // The least reader: the oldest protocol that understands this frame.
  writer.byte(isRun || frame.entries.some(hasAmounts) ? PROTOCOL : OLDEST_PROTOCOL);
  writer.byte((frame.pull ? PULL : 0) + (isRun ? RUN : 0));
  writer.varint(frame.schemaHash);
  writer.varint(frame.policyVersion);
  writer.string(frame.from);
  encodeReplica(writer, frame.replica);
  writer.varint(frame.epoch);
  encodeVector(writer, frame.since);
  if (frame.pull) {
    encodeVector(writer, frame.pull);
    encodeStaged(writer, frame.staged);
  }
  writer.varint(frame.relay.length);
  for (const region of frame.relay) writer.string(region);
  writer.varint(frame.entries.length);
  if (isRun) writeRun(writer, frame.entries);
  else for (const entry of frame.entries) writer.bytes(entry);
  encodeBody(writer, frame.body);
  if (frame.body.type !== 'entries') encodeMarks(writer, frame.marks);
  return writer.finish();
}

export function decodeFrame(bytes: Uint8Array): Frame {
  if (bytes.length > FRAME_BYTES_MAX) throw new DecodeError('frame too large');
  const reader = new Reader(bytes);
  if (reader.byte() < OLDEST_PROTOCOL) throw new DecodeError('frame of a protocol that is not spoken any more');
  if (reader.byte() > PROTOCOL) throw new DecodeError('frame for a newer protocol');
  const flags = reader.byte();
  if (flags > PULL + RUN) throw new DecodeError('unknown flags of a frame');
  const head = {
    schemaHash: reader.varint(),
    policyVersion: reader.varint(),
    from: reader.string(),
    replica: decodeReplica(reader),
    epoch: reader.varint(),
  };
  const since = decodeVector(reader);
  const pull = (flags & PULL) > 0 ? {pull: decodeVector(reader), staged: decodeStaged(reader)} : {};
  const relay = Array.from({length: reader.count()}, () => reader.string());
  const count = reader.count();
  if (flags >= RUN && count < 2) throw new DecodeError('a run of fewer than two entries');
  const entries = flags >= RUN ? readRun(reader, count) : Array.from({length: count}, () => reader.bytes().slice());
  const body = decodeBody(reader);
  const marks = body.type === 'entries' ? [] : decodeMarks(reader);
  reader.end();
  return {...head, since, ...pull, relay, entries, body, marks};
}

/** FNV-1a over the names and codes of the fields: tells builds apart in logs, decides nothing. */
export function schemaHash(shape: Shape): number {
  let hash = 0x811c9dc5;
  for (const [name, type] of [...shape].sort(([a], [b]) => (a < b ? -1 : 1)))
    for (const unit of `${name}#${type.code};`) hash = Math.imul(hash ^ unit.charCodeAt(0), 0x01000193) >>> 0;
  return hash;
}

/** A stored entry as the log hands it over: its dot, and its bytes. */
export interface LogEntry {
  readonly dot: Dot;
  readonly bytes: Uint8Array;
}

/**
 * A frame's entries out of the end of the log, when only some of them are sent. `tail` is in log order and starts no later
 * than the first entry to send; `vector` covers the whole log. Entries that are left out before the last one sent become a
 * condition on the receiver.
 */
export function selectSome(
  tail: readonly LogEntry[],
  vector: VersionVector,
  wanted: (dot: Dot) => boolean,
  bytesMax: number = FRAME_ENTRIES_BYTES_MAX,
): {entries: readonly Uint8Array[]; since: VersionVector} {
  const chosen = fitting(
    tail.filter(entry => wanted(entry.dot)),
    bytesMax,
  );
  const last = chosen.at(-1);
  if (!last) return {entries: [], since: vector};
  const since = new Map(vector);
  for (const entry of [...tail.slice(tail.indexOf(last) + 1), ...chosen]) {
    const {replica, counter} = entry.dot;
    since.set(replica, Math.min(counterOf(since, replica), counter - 1));
  }
  for (const [replica, counter] of since) if (counter === 0) since.delete(replica);
  return {entries: chosen.map(entry => entry.bytes), since};
}

/** As many as one frame takes; always one. */
function fitting(entries: readonly LogEntry[], bytesMax: number): readonly LogEntry[] {
  let bytes = 0;
  const end = entries.findIndex((entry, index) => (bytes += entry.bytes.length + 4) > bytesMax && index > 0);
  return end < 0 ? entries : entries.slice(0, end);
}

/** The condition of a frame that carries everything its receiver lacks, up to its last entry: what the receiver said. */
export function sinceOf(cover: VersionVector, vector: VersionVector): VersionVector {
  return new Map(
    [...cover]
      .map(([id, counter]) => [id, Math.min(counter, counterOf(vector, id))] as const)
      .filter(([, counter]) => counter > 0),
  );
}

/** Whether a frame applies. */
export type Admission =
  /** Apply these, in order; the rest of the frame was known already. */
  | {readonly type: 'apply'; readonly fresh: readonly number[]; readonly vector: VersionVector}
  /** Something that the entries depend on is missing. */
  | {readonly type: 'gap'};

/** Decides a frame as a whole: all its new entries apply, or none does. `dots` are those of its entries, in order. */
export function admit(own: VersionVector, since: VersionVector, dots: readonly Dot[]): Admission {
  for (const [replica, counter] of since) if (counterOf(own, replica) < counter) return {type: 'gap'};
  let vector = own;
  const fresh: number[] = [];
  for (const [index, dot] of dots.entries()) {
    const seen = counterOf(vector, dot.replica);
    if (dot.counter <= seen) continue;
    if (dot.counter !== seen + 1) return {type: 'gap'}; // A maximum over a gap would claim what never arrived.
    vector = withDot(vector, dot);
    fresh.push(index);
  }
  return {type: 'apply', fresh, vector};
}

/** What the sender of a frame is known to hold. */
export function knownOf(since: VersionVector, dots: readonly Dot[]): VersionVector {
  return dots.reduce<VersionVector>((vector, dot) => withDot(vector, dot), since);
}
