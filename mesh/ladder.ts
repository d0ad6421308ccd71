// What a frame carries, for what its receiver lacks: entries out of the log while those are few; what changed, coalesced,
// once that is smaller; ranges of keys by digest, where the log does not reach back; the whole state, at once or in
// chunks, for whoever has nothing. So healing costs what differs, not what happened.
import {type Document, encodeChanges, encodeState} from '../crdt/document.ts';
import {canPatch, coalesce, differing, decodeDigests, encodeRanges} from '../crdt/patch.ts';
import {Reader, Writer} from '../crdt/bytes.ts';
import type {Dot} from '../crdt/dot.ts';
import {counterOf, coversVector, EMPTY_VECTOR, type VersionVector, withDot} from '../crdt/version-vector.ts';
import {decodeEntry, decodeEntryHead} from './entry.ts';
import {type Body, type Frame, type LogEntry, schemaHash, selectSome, sinceOf} from './frame.ts';
import {type GossipEffect, WINDOW_BYTES_MAX} from './gossip.ts';
import {encodeMarks, type Mark, marksOf} from './keys.ts';
import {isConstrained} from './load.ts';
import {epochOf, members} from './membership.ts';
import type {LogRow} from './store.ts';
import type {Held, Lane, Turn} from './turn.ts';

/** More own entries than this are found from the front of the log, page by page, instead of from its end. */
const OWN_TAIL_MAX = 256;
const PAGE_ROWS = 256;
/** Missed entries that are looked at, to coalesce them, before the state is sent by ranges. */
const COALESCED_ENTRIES_MAX = 200_000;

type Send = GossipEffect & {type: 'send'};

/** A frame; undefined when what the receiver lacks cannot be told by this build. */
export function frameFor(turn: Turn, send: Send): {frame: Frame; lane: Lane} | undefined {
  const {held, replica} = turn;
  const {cover, relay, pull, unreached, to} = send;
  const head = {
    policyVersion: replica.policyVersion,
    schemaHash: schemaHash(replica.kind.shape),
    from: replica.region,
    replica: held.id,
    epoch: epochOf(members(held.document)),
    relay: unreached,
    marks: [],
    ...(pull && {pull: held.document.vector, staged: held.staged}),
  };
  const content = relay ? beyond(turn, to, cover) : (ownTail(turn, to, cover) ?? beyond(turn, to, cover));
  if (!content) return undefined;
  const isBulk = content.body.type === 'chunk';
  if (isBulk && isConstrained(replica.load, turn.around.nowMs))
    return {frame: {...head, entries: [], since: EMPTY_VECTOR, body: ENTRIES}, lane: 'state'};
  if (!('bytes' in content.body) || isBulk) return {frame: {...head, ...content}, lane: isBulk ? 'bulk' : 'state'};
  const marks = marksOf(held.keys, ({replica: id, counter}) => counter > counterOf(cover, id));
  // Keys are no state that can be coalesced: with many of them a frame is a snapshot.
  if (content.body.bytes.length + marksLength(marks) > WINDOW_BYTES_MAX)
    return {frame: {...head, ...chunkFor(turn, to)}, lane: 'bulk'};
  return {frame: {...head, ...content, marks}, lane: 'state'};
}

function marksLength(marks: readonly Mark[]): number {
  const writer = new Writer();
  encodeMarks(writer, marks);
  return writer.length;
}

/** A state with all the keys that its replica remembers. */
function encodeSnapshot(turn: Turn): Uint8Array {
  const writer = new Writer();
  writer.bytes(encodeState(turn.replica.kind.shape, documentFor(turn.held, turn.held.stale.values())));
  encodeMarks(
    writer,
    marksOf(turn.held.keys, () => true),
  );
  return writer.finish();
}

/** Of the forgotten so many are told with a state; whoever still names an older one is told of that one too. */
const FORGOTTEN_TOLD_MAX = 256;
/** Beyond every counter that a replica can come to. */
const WHOLE = 2 ** 48;

/**
 * The state as a peer is told it: of those who are forgotten here it says that it has seen all of them. What a state does not
 * say it has seen stays where it is, and is new to whoever has never heard of it.
 */
function documentFor({document, forgotten}: Held, named: Iterable<VersionVector>): Document {
  const told = new Set([...forgotten.slice(-FORGOTTEN_TOLD_MAX), ...[...named].flatMap(vector => [...vector.keys()])]);
  const gone = [...told].filter(id => !document.vector.has(id));
  if (gone.length === 0) return document;
  const vector = gone.reduce<VersionVector>(
    (seen, replica) => withDot(seen, {replica, counter: WHOLE}),
    document.vector,
  );
  return {...document, vector};
}

const documentTo = (held: Held, to: string): Document => documentFor(held, [held.stale.get(to) ?? EMPTY_VECTOR]);

type Content = Pick<Frame, 'entries' | 'since' | 'body'>;
const ENTRIES: Body = {type: 'entries'};

const windowOf = ({gossip}: Held, to: string): number => gossip.peers.get(to)!.window;

const entryOf = ({entry}: LogRow): LogEntry => {
  const {replica, counter} = decodeEntryHead(entry);
  return {dot: {replica, counter}, bytes: entry};
};

/** What this replica wrote and the peer has not acknowledged; undefined when the log does not have it all any more. */
function ownTail(turn: Turn, to: string, cover: VersionVector): Content | undefined {
  const {held} = turn;
  const {own} = held.gossip;
  const {vector} = held.document;
  const isWanted = ({replica, counter}: Dot) => own.includes(replica) && counter > counterOf(cover, replica);
  let left = 0;
  for (const id of own) left += Math.max(0, counterOf(vector, id) - counterOf(cover, id));
  if (left > OWN_TAIL_MAX) return undefined;
  const tail: LogEntry[] = [];
  for (let before = held.end + 1; left > 0;) {
    const rows = turn.around.log.before(before, left === 1 ? 8 : PAGE_ROWS);
    for (const row of rows) {
      if (row.seq <= held.base.seq) return undefined;
      const entry = entryOf(row);
      tail.push(entry);
      before = row.seq;
      if (isWanted(entry.dot) && --left === 0) break;
    }
    if (rows.length === 0) return undefined;
  }
  return {...selectSome(tail.reverse(), vector, isWanted, windowOf(held, to)), body: ENTRIES};
}

/** Everything that `cover` lacks, as much as one frame takes, in the form that costs least. */
function beyond(turn: Turn, to: string, cover: VersionVector): Content | undefined {
  const {held, around} = turn;
  const {base} = held;
  const document = documentTo(held, to);
  const {limits, shape} = turn.replica.kind;
  const since = sinceOf(cover, document.vector);
  if (coversVector(document.vector, cover) && coversVector(cover, document.vector))
    return {entries: [], since, body: ENTRIES};
  if (!coversVector(cover, base.vector)) return stateFor(turn, to, cover);
  const window = windowOf(held, to);
  const kept = held.cursors.get(to);
  let covered = kept && coversVector(cover, kept.cover) ? kept.seq : base.seq;
  covered = Math.max(covered, base.seq);
  const entries: Uint8Array[] = [];
  const missed: Uint8Array[] = [];
  let [bytes, isFull] = [0, false];
  scan: for (let at = covered; ;) {
    const rows = around.log.after(at, PAGE_ROWS);
    for (const row of rows) {
      at = row.seq;
      const {dot} = entryOf(row);
      if (dot.counter <= counterOf(cover, dot.replica)) {
        if (missed.length === 0) covered = row.seq;
        continue;
      }
      bytes += row.entry.length + 4;
      isFull ||= bytes > window && entries.length > 0;
      if (!isFull) entries.push(row.entry);
      missed.push(row.entry);
      if (missed.length > COALESCED_ENTRIES_MAX) break scan;
    }
    if (rows.length < PAGE_ROWS) break;
    // Looking further pays only where much is missing.
    if (isFull && missed.length < limits.changesEntriesMin) break;
  }
  const cursors = new Map(held.cursors).set(to, {cover, seq: covered});
  turn.update({cursors});
  if (missed.length >= limits.changesEntriesMin && canPatch(document)) {
    const changes = encodeChanges(
      shape,
      coalesce(
        shape,
        document,
        missed.map(entry => fieldsOf(turn, entry)),
        since,
      ),
    );
    // They are the end of it: less than what two windows of entries would cost, and the next.
    const mostBytes = Math.min(4 * window, WINDOW_BYTES_MAX, bytes / 2);
    if (changes.length <= mostBytes) return {entries: [], since, body: {type: 'changes', bytes: changes}};
    if (bytes > window) {
      const state = stateWithin(turn, to, bytes / 2);
      if (state) return {entries: [], since, body: state};
    }
  }
  return {entries, since, body: ENTRIES};
}

const fieldsOf = (turn: Turn, entry: Uint8Array) => decodeEntry(turn.replica.kind.shape, entry).document.fields;

/** The state as it is, when it is no larger than that and than the window. */
function stateWithin(turn: Turn, to: string, most: number): Body | undefined {
  const bytes = encodeState(turn.replica.kind.shape, documentTo(turn.held, to));
  return bytes.length <= Math.min(most, windowOf(turn.held, to)) ? {type: 'state', bytes} : undefined;
}

/** For a receiver that the log does not reach back to. */
function stateFor(turn: Turn, to: string, cover: VersionVector): Content | undefined {
  // Fields that this build does not know are no state to it: they can only be passed on as the entries that they came in.
  if (!canPatch(turn.held.document)) return undefined;
  const {held} = turn;
  const document = documentTo(held, to);
  const {limits, shape} = turn.replica.kind;
  // The state stands on nothing; but the keys beside it are those of events that the receiver lacks.
  const content = (body: Body): Content => ({entries: [], since: sinceOf(cover, document.vector), body});
  const digests = held.digests.get(to);
  const isOffered = held.digests.has(to);
  if (isOffered) turn.update({digests: without(held.digests, to)});
  if (digests) {
    const bytes = encodeRanges(shape, document, differing(shape, document, decodeDigests(new Reader(digests), shape)));
    if (bytes.length <= windowOf(held, to)) return content({type: 'ranges', bytes});
    return chunkFor(turn, to);
  }
  const state = encodeState(shape, document);
  if (state.length <= limits.stateBytesOutright) return content({type: 'state', bytes: state});
  // Whoever holds something of it is asked first where it differs; whoever holds nothing differs everywhere.
  if (cover.size > 0 && !isOffered && !isStaging(held, to))
    return {...content({type: 'offer'}), since: document.vector};
  if (state.length <= Math.max(windowOf(held, to), limits.stateBytesOutright) && state.length <= limits.chunkBytes)
    return content({type: 'state', bytes: state});
  return chunkFor(turn, to);
}

const isStaging = (held: Held, to: string): boolean =>
  held.pinned !== undefined && held.gossip.peers.get(to)?.staged !== undefined;

/** The next chunk of the snapshot that the receiver is taking in. The snapshot stays what it was until the receiver has it. */
function chunkFor(turn: Turn, to: string): Content {
  const {limits} = turn.replica.kind;
  const staged = turn.held.gossip.peers.get(to)?.staged;
  let {pinned} = turn.held;
  if (!pinned || (staged && staged.snapshot !== pinned.snapshot) || !staged) {
    const isInUse =
      pinned && [...turn.held.gossip.peers.values()].some(peer => peer.staged?.snapshot === pinned!.snapshot);
    if (!pinned || !isInUse) pinned = pin(turn, encodeSnapshot(turn), limits.chunkBytes);
  }
  const index = staged?.snapshot === pinned.snapshot ? staged.chunks : 0;
  const at = Math.min(index, pinned.chunks - 1);
  const bytes = pendingChunk(turn, at);
  return {
    entries: [],
    since: EMPTY_VECTOR,
    body: {type: 'chunk', snapshot: pinned.snapshot, index: at, total: pinned.chunks, bytes},
  };
}

function pin(turn: Turn, state: Uint8Array, chunkBytes: number): NonNullable<Held['pinned']> {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < state.length; at += chunkBytes) chunks.push(state.subarray(at, at + chunkBytes));
  const snapshot = nameOf(state);
  const {vector} = turn.held.document;
  turn.emit({type: 'pin', snapshot, vector, chunks});
  const pinned = {snapshot, chunks: chunks.length, vector};
  turn.update({pinned});
  return pinned;
}

/** A chunk that was pinned in this very step is not on disk yet. */
function pendingChunk(turn: Turn, index: number): Uint8Array {
  const fresh = turn.effects.findLast(effect => effect.type === 'pin');
  const bytes = fresh?.type === 'pin' ? fresh.chunks[index] : turn.around.log.pinned(index);
  if (!bytes) throw new Error(`chunk ${index} of the pinned snapshot is not there`);
  return bytes;
}

const hexOf = (word: number): string => (word >>> 0).toString(16).padStart(8, '0');

/** 64 bits of FNV-1a, in two halves: tells snapshots apart, and finds chunks of two that were mixed up. */
export function nameOf(bytes: Uint8Array): string {
  let [a, b] = [0x811c9dc5, 0x01000193];
  for (const byte of bytes) {
    a = Math.imul(a ^ byte, 0x01000193);
    b = Math.imul(b ^ byte, 0x85ebca6b);
  }
  return hexOf(a) + hexOf(b);
}

function without<K, V>(map: ReadonlyMap<K, V>, key: K): ReadonlyMap<K, V> {
  const rest = new Map(map);
  rest.delete(key);
  return rest;
}
