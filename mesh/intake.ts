// Taking in what peers send: as a whole, or not at all.
import {concat, DecodeError, Reader, Writer} from '../crdt/bytes.ts';
import {
  decodeChanges,
  decodeState,
  type Document,
  EMPTY_DOCUMENT,
  join,
  MissingEvents,
  type Shape,
} from '../crdt/document.ts';
import type {Dot, ReplicaId} from '../crdt/dot.ts';
import {isBeyondDrift, observe} from '../crdt/hybrid-clock.ts';
import {canPatch, decodeRanges, digestsOf, encodeDigests, joinRanges, rangeSplits} from '../crdt/patch.ts';
import {
  counterOf,
  coversVector,
  EMPTY_VECTOR,
  joinVectors,
  type VersionVector,
  withDot,
} from '../crdt/version-vector.ts';
import {decodeEntry, decodeEntryHead, type EntryHead} from './entry.ts';
import {admit, type Frame, knownOf, schemaHash} from './frame.ts';
import {WINDOW_BYTES_MAX, WINDOW_BYTES_MIN} from './gossip.ts';
import {decodeMarks} from './keys.ts';
import {nameOf} from './ladder.ts';
import {admitFrame as admitBytes, creditOf} from './load.ts';
import {isDeserted, isGone, members} from './membership.ts';
import type {Answer} from './message.ts';
import {FENCE_RETRY_MS, FORGOTTEN_MAX, joinEvent, joinSeen, remember, renew, withThose} from './minting.ts';
import type {Turn} from './turn.ts';

/** Chunks that a snapshot may have: 128 MiB of state at their usual size. */
export const CHUNKS_MAX = 1_024;

/** A snapshot of which nothing more has come for so long makes room for another one. */
export const STAGING_MS = 10_000;

/** What a frame would make of a state. */
export interface Admitted {
  readonly document: Document;
  readonly entries: readonly {readonly head: EntryHead; readonly bytes: Uint8Array}[];
  /** What its sender certainly holds. */
  readonly known: VersionVector;
}

/** Decodes a frame's entries against `base`. Throws DecodeError; undefined when something they depend on is missing. */
export function admitEntries(
  shape: Shape,
  base: Document,
  frame: Frame,
  forgotten: readonly ReplicaId[] = [],
): Admitted | undefined {
  const decoded = frame.entries.map(bytes => ({...decodeEntry(shape, bytes), bytes}));
  const dots = decoded.map(({head}) => head);
  const named = [...frame.since.keys(), ...dots.map(({replica}) => replica)];
  const admission = admit(withAllOf(base.vector, forgotten, named), frame.since, dots);
  if (admission.type === 'gap') return undefined;
  const entries = admission.fresh.map(index => decoded[index]!);
  try {
    const joinOne = (joined: Document, {head, document}: (typeof entries)[number]) =>
      joinEvent(shape, joined, document, forgotten, head.replica);
    const document = entries.reduce(joinOne, base);
    return {document, entries, known: knownOf(frame.since, dots)};
  } catch (error) {
    // Entries say themselves what they build on, should the frame have said less.
    if (error instanceof MissingEvents) return undefined;
    throw error;
  }
}

/** Those whom everybody has forgotten have been seen whole. Whoever has not heard of that yet may send them once more. */
function withAllOf(vector: VersionVector, forgotten: readonly ReplicaId[], named: readonly ReplicaId[]): VersionVector {
  const gone = named.filter(id => !vector.has(id) && forgotten.includes(id));
  return gone.length > 0 ? new Map([...vector, ...gone.map(id => [id, Number.MAX_SAFE_INTEGER] as const)]) : vector;
}

/** What the frame's body makes of the state; undefined when something it builds on is missing. */
export const admitBody = (
  shape: Shape,
  base: Document,
  frame: Frame,
  forgotten: readonly ReplicaId[] = [],
): Document | undefined => merge(shape, base, frame, forgotten).document;

interface Merged {
  /** Undefined when something that the body builds on is missing. */
  readonly document: Document | undefined;
  /** What the body has seen. */
  readonly vector: VersionVector;
}

function merge(
  shape: Shape,
  base: Document,
  {body, schemaHash: theirs}: Frame,
  forgotten: readonly ReplicaId[],
): Merged {
  const seen = (vector: VersionVector, joined: (base: Document) => Document | undefined): Merged => ({
    document: joinSeen(shape, base, vector, forgotten, joined),
    vector,
  });
  switch (body.type) {
    case 'changes': {
      const delta = decodeChanges(shape, body.bytes);
      try {
        return seen(delta.vector, known => join(shape, known, delta));
      } catch (error) {
        if (error instanceof MissingEvents) return {document: undefined, vector: delta.vector};
        throw error;
      }
    }
    case 'state': {
      const state = decodeState(shape, body.bytes);
      return seen(state.vector, known => join(shape, known, state));
    }
    case 'ranges': {
      // Builds that know different fields cut them differently.
      if (theirs !== schemaHash(shape) || !canPatch(base)) return {document: undefined, vector: EMPTY_VECTOR};
      const state = decodeRanges(new Reader(body.bytes), shape);
      return seen(state.vector, known => joinRanges(shape, known, state));
    }
    case 'entries':
    case 'offer':
    case 'chunk':
      return {document: base, vector: EMPTY_VECTOR};
    default:
      return body satisfies never;
  }
}

/** A frame's answer; what it brought is in the turn's effects. Throws DecodeError for what no replica can have sent. */
export function receive(turn: Turn, frame: Frame, bytes: number): Answer {
  const {replica, around} = turn;
  const admission = admitBytes(replica.load, around.nowMs, bytes);
  replica.load = admission.load;
  if (admission.type === 'refused') return {type: 'later', why: 'too much at once', afterMs: admission.afterMs};
  if (turn.held.sealed.includes(frame.replica) || isZombie(turn, frame)) return {type: 'retired'};
  // Whoever is put back to before this replica came could not find what it takes in now.
  if (!turn.held.registered && !replica.kind.eager) {
    if (!turn.held.due.has('register')) turn.emit({type: 'register'});
    return {type: 'later', why: 'no catalog lists this replica yet', afterMs: FENCE_RETRY_MS};
  }
  if (frame.body.type === 'offer') return digests(turn, frame);
  if (frame.body.type === 'chunk') return stage(turn, frame);
  if (frame.body.type === 'entries') return takeEntries(turn, frame);
  return takeState(turn, frame, merge(replica.kind.shape, turn.held.document, frame, turn.held.forgotten));
}

/**
 * Whether the sender has minted events since it left, or was given up for lost. Its heir may have spoken its last word
 * meanwhile, under the same dot, so what it says cannot be told from that any more.
 */
function isZombie({held}: Turn, {replica, body, entries}: Frame): boolean {
  const role = members(held.document).get(replica)?.role;
  if (role !== 'lost' && role !== 'left' && role !== 'folded') return false;
  const known = counterOf(held.document.vector, replica);
  if (entries.some(bytes => isBeyond(decodeEntryHead(bytes), replica, known))) return true;
  return body.type === 'state' || body.type === 'chunk' ? role === 'lost' : false;
}

const isBeyond = (dot: Dot, replica: ReplicaId, known: number): boolean =>
  dot.replica === replica && dot.counter > known;

const creditIn = ({replica, around}: Turn): number =>
  creditOf(replica.load, around.nowMs, WINDOW_BYTES_MAX, WINDOW_BYTES_MIN);

function takeEntries(turn: Turn, frame: Frame): Answer {
  const {held, around} = turn;
  const {shape} = turn.replica.kind;
  const admitted = admitEntries(shape, held.document, frame, held.forgotten);
  if (!admitted) return {type: 'gap', vector: held.document.vector};
  const {entries, known} = admitted;
  if (isSuperseded(turn, admitted.document.vector)) return conflict(turn);
  // A stamp from far ahead would win over everything that is written until then.
  if (entries.some(({head}) => isBeyondDrift(head.time, around.nowMs)))
    return {type: 'later', why: 'stamped further ahead than clocks may drift', afterMs: 60_000};
  const {document} = admitted;
  if (entries.length > 0) {
    turn.emit({type: 'append', entries: entries.map(({bytes}) => bytes)});
    turn.emit({type: 'changed'});
  }
  let {time} = held;
  for (const {head} of entries) time = observe(time, head.time, Math.floor(around.nowMs));
  turn.update({document, time, end: held.end + entries.length});
  for (const {head} of entries) if (head.mark) remember(turn, {...head.mark, dot: head, time: head.time});
  hear(turn, frame, joinVectors(known, frame.pull ?? known), held.document);
  const sent = frame.entries.map(decodeEntryHead).reduce<VersionVector>(withDot, EMPTY_VECTOR);
  return {type: 'applied', vector: vectorFor(turn, sent), credit: creditIn(turn)};
}

/** What is here, as it is told to whoever has named `named`: of those whom it has not forgotten yet it must not go on sending. */
function vectorFor({held: {document, forgotten}}: Turn, named: VersionVector): VersionVector {
  const gone = [...named.keys()].filter(id => !document.vector.has(id) && forgotten.includes(id));
  return withThose(document.vector, gone, named);
}

/** Takes in a state as a whole: what it says is in no log row here, so nobody is served from before it. */
function takeState(turn: Turn, frame: Frame, {document, vector}: Merged): Answer {
  const {held, around} = turn;
  if (!document || !coversVector(withAllOf(held.document.vector, held.forgotten, [...frame.since.keys()]), frame.since))
    return {type: 'gap', vector: held.document.vector};
  // A build that knows them reads them from the log, and no log reaches back behind a state that was taken in.
  if (document.opaque.size > 0 && document !== held.document)
    return {type: 'later', why: 'fields that only a newer build knows', afterMs: 60_000};
  if (isSuperseded(turn, document.vector)) return conflict(turn);
  if (isBeyondDrift(document.latest, around.nowMs) && document !== held.document)
    return {type: 'later', why: 'stamped further ahead than clocks may drift', afterMs: 60_000};
  // Who has never heard of somebody who is forgotten must not take old messages of its for news.
  const gone = [...vector.keys()].filter(id => !document.vector.has(id) && !held.forgotten.includes(id));
  if (gone.length > 0) turn.note({forgotten: [...held.forgotten, ...gone].slice(-FORGOTTEN_MAX)});
  for (const mark of frame.marks) remember(turn, mark);
  if (document !== held.document) install(turn, document);
  hear(turn, frame, frame.since, held.document);
  return {type: 'applied', vector: vectorFor(turn, vector), credit: creditIn(turn)};
}

/** The state in its rows, in the same transaction: the log cannot tell it again. */
export function install(turn: Turn, document: Document): void {
  const {held, around} = turn;
  const time = observe(held.time, document.latest, Math.floor(around.nowMs));
  const base = {seq: held.end, vector: document.vector};
  turn.emit({type: 'checkpoint', document, time, marks: held.freshMarks, base});
  turn.update({document, time, base, checkpointSeq: held.end, freshMarks: [], cursors: new Map(), digests: new Map()});
  turn.emit({type: 'changed'});
}

/** Others have events of this replica that it does not: its storage is older than what it last wrote. */
function isSuperseded({held}: Turn, vector: VersionVector): boolean {
  // Or have forgotten it.
  if (held.document.vector.has(held.id) && !vector.has(held.id)) return true;
  return counterOf(vector, held.id) > counterOf(held.document.vector, held.id) && held.lease.status === 'ready';
}

function conflict(turn: Turn): Answer {
  renew(turn);
  return {type: 'later', why: 'this replica goes on under another id', afterMs: 250};
}

/** Replicas that this one has just learnt of are peers that are there, whatever their regions said before they came. */
function hear(turn: Turn, frame: Frame, known: VersionVector, before: Document): void {
  const {from: region, pull, relay, staged} = frame;
  const {document} = turn.held;
  const all = members(before);
  const fresh = [...members(document).values()].filter(member => !isGone(member) && !all.has(member.replica));
  const regions = fresh.map(member => member.region);
  const anew = regions.filter(name => isDeserted(all, name));
  turn.gossip({
    type: 'heard',
    region,
    speaker: frame.replica,
    vector: document.vector,
    known,
    pull,
    relay,
    staged,
    anew,
  });
  if (regions.length > 0) turn.gossip({type: 'members', regions});
}

function digests(turn: Turn, frame: Frame): Answer {
  const {shape} = turn.replica.kind;
  const vector = vectorFor(turn, frame.since);
  const document = {...turn.held.document, vector};
  if (frame.schemaHash !== schemaHash(shape) || !canPatch(document)) return {type: 'gap', vector};
  const writer = new Writer();
  encodeDigests(writer, shape, digestsOf(shape, document, rangeSplits(shape, document)));
  return {type: 'digests', vector, bytes: writer.finish()};
}

/** Puts a chunk aside; the last one makes the state of them all. */
function stage(turn: Turn, frame: Frame): Answer {
  const {body} = frame;
  if (body.type !== 'chunk') throw new DecodeError('no chunk');
  if (body.total > CHUNKS_MAX) throw new DecodeError('a snapshot of too many chunks');
  const {vector} = turn.held.document;
  const {staged} = turn.held;
  const have = staged?.snapshot === body.snapshot ? staged.chunks : 0;
  // Two that send at once would take each other's place with every chunk.
  const {stagedAtMs = -Infinity} = turn.held;
  if (staged && have === 0 && Math.abs(turn.around.nowMs - stagedAtMs) < STAGING_MS)
    return {type: 'later', why: 'another snapshot is coming in', afterMs: STAGING_MS};
  if (body.index !== have) return {type: 'staged', snapshot: body.snapshot, chunks: have, vector};
  if (have === 0 && staged) turn.emit({type: 'unstage'});
  if (have + 1 < body.total) {
    turn.emit({type: 'stage', snapshot: body.snapshot, index: have, bytes: body.bytes});
    turn.update({staged: {snapshot: body.snapshot, chunks: have + 1}, stagedAtMs: turn.around.nowMs});
    turn.gossip({type: 'heard', region: frame.from, vector, known: new Map(), pull: undefined, relay: frame.relay});
    return {type: 'staged', snapshot: body.snapshot, chunks: have + 1, vector};
  }
  const state = concat([...(have > 0 ? [turn.around.log.staged()] : []), body.bytes]);
  turn.update({staged: undefined});
  if (have > 0) turn.emit({type: 'unstage'});
  // Chunks of two snapshots, or one that was spoilt on the disk: from the beginning.
  if (nameOf(state) !== body.snapshot) return {type: 'staged', snapshot: body.snapshot, chunks: 0, vector};
  const {shape} = turn.replica.kind;
  const reader = new Reader(state);
  const snapshot = decodeState(shape, reader.bytes());
  const marks = decodeMarks(reader);
  reader.end();
  const {document, forgotten} = turn.held;
  const merged = joinSeen(shape, document, snapshot.vector, forgotten, known => join(shape, known, snapshot));
  return takeState(turn, {...frame, marks}, {document: merged, vector: snapshot.vector});
}

/** Decodes a frame as it would be taken in by a replica that holds nothing: what the policy is asked about. */
export function previewOf(shape: Shape, frame: Frame): Document | undefined {
  if (frame.body.type === 'entries') return admitEntries(shape, EMPTY_DOCUMENT, frame)?.document;
  const made = admitBody(shape, EMPTY_DOCUMENT, frame);
  return made === EMPTY_DOCUMENT ? undefined : made;
}
