// A log entry: one event as it is stored, sent and chained, in one encoding from the origin's disk to the last replica's.
// The head can be read without the delta, and the delta without knowing the command.
import {DecodeError, EncodeError, Reader, Writer} from '../crdt/bytes.ts';
import {decodeReplica, encodeReplica, type EventHead} from '../crdt/codec.ts';
import {decodeDelta, type Delta, encodeDelta, type EventDelta, type Shape} from '../crdt/document.ts';
import {decodeTime, encodeTime} from '../crdt/hybrid-clock.ts';

/** An entry must fit into a frame with its head, or it could be acknowledged and never sent. */
export const ENTRY_BYTES_MAX = 240 * 1024;
export const FINGERPRINT_BYTES = 8;

export interface IdempotencyMark {
  readonly key: string;
  /** Of the command's name and input: the same key with another request is a mistake of the caller's. */
  readonly fingerprint: Uint8Array;
}

export interface EntryHead extends EventHead {
  /** The command's name; `patch` for generic edits; system events begin with `$`. */
  readonly command: string;
  readonly mark?: IdempotencyMark;
  /** By how much it raised counters (`amountsOf` in crdt/undo.ts), for whoever has to take it back: running totals do not say. */
  readonly amounts?: Uint8Array;
}

export const JOIN = '$join';
export const TRANSFER = '$transfer';
export const PROMOTE = '$promote';
export const FENCE = '$fence';
export const LEAVE = '$leave';
export const UNDO = '$undo';
export const FOLD = '$fold';
export const FORGET = '$forget';
export const isSystemEvent = (command: string): boolean => command.startsWith('$');

/** 1 was before deltas were partial states. */
const FORMAT = 2;
const HAS_MARK = 1;
const HAS_AMOUNTS = 2;
const FLAGS_AT = 1;

/** Told beside a mark alone: nothing else is ever taken back. Builds before protocol 3 do not know them. */
export const hasAmounts = (entry: Uint8Array): boolean => (entry[FLAGS_AT]! & HAS_AMOUNTS) > 0;

/** Throws EncodeError when the entry would be larger than ENTRY_BYTES_MAX. */
export function encodeEntry(shape: Shape, head: EntryHead, delta: EventDelta): Uint8Array {
  const writer = new Writer();
  writer.byte(FORMAT);
  writer.byte((head.mark ? HAS_MARK : 0) + (head.mark && head.amounts ? HAS_AMOUNTS : 0));
  encodeReplica(writer, head.replica);
  writer.varint(head.counter);
  encodeTime(writer, head.time);
  writer.string(head.command);
  if (head.mark) {
    writer.string(head.mark.key);
    writer.raw(head.mark.fingerprint);
    if (head.amounts) writer.bytes(head.amounts);
  }
  encodeDelta(writer, shape, delta);
  const bytes = writer.finish();
  if (bytes.length > ENTRY_BYTES_MAX) throw new EncodeError(`entry of ${bytes.length} bytes`);
  return bytes;
}

function readHead(reader: Reader): EntryHead {
  if (reader.byte() !== FORMAT) throw new DecodeError('unknown format of an entry');
  const flags = reader.byte();
  if (flags > HAS_MARK + HAS_AMOUNTS || flags === HAS_AMOUNTS) throw new DecodeError('unknown flags of an entry');
  const replica = decodeReplica(reader);
  const counter = reader.varint();
  if (counter === 0) throw new DecodeError('counters start at 1');
  const head = {replica, counter, time: decodeTime(reader), command: reader.string()};
  if (flags === 0) return head;
  const mark = {key: reader.string(), fingerprint: reader.raw(FINGERPRINT_BYTES).slice()};
  return flags === HAS_MARK ? {...head, mark} : {...head, mark, amounts: reader.bytes().slice()};
}

export const decodeEntryHead = (bytes: Uint8Array): EntryHead => readHead(new Reader(bytes));

export function decodeEntry(shape: Shape, bytes: Uint8Array): {head: EntryHead; document: Delta} {
  if (bytes.length > ENTRY_BYTES_MAX) throw new DecodeError('entry too large');
  const reader = new Reader(bytes);
  const head = readHead(reader);
  return {head, document: decodeDelta(reader, shape, head)};
}
