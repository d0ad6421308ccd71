// Every decoder, and what must hold of every input: it is refused with a DecodeError, or it is the encoding of what was read, and
// what was read can be used and written again. Nothing else is thrown.
import {DecodeError, fromHex, Reader, sameBytes, toHex, Writer} from '../../crdt/bytes.ts';
import {decodeReplica, decodeVector, Encoder, encodeVector, type EventHead, ReplicaTable} from '../../crdt/codec.ts';
import {
  decodeChanges,
  decodeDelta,
  decodePart,
  decodeState,
  type Delta,
  type Document,
  EMPTY_DOCUMENT,
  encodeChanges,
  encodeFields,
  encodePart,
  encodeState,
  type EventDelta,
  join,
  type Shape,
} from '../../crdt/document.ts';
import {decodeTime} from '../../crdt/hybrid-clock.ts';
import {decodeJson, encodeJson, type JsonValue} from '../../crdt/json-value.ts';
import {decodeDigests, decodeRanges, differing, encodeDigests, encodeRanges, joinRanges} from '../../crdt/patch.ts';
import {StreamDecoder} from '../../crdt/stream.ts';
import {amountsOf, decodeAmounts} from '../../crdt/undo.ts';
import {coversVector, joinVectors} from '../../crdt/version-vector.ts';
import {decodeEntry, decodeEntryHead, encodeEntry} from '../../mesh/entry.ts';
import {type Body, decodeFrame, encodeFrame, type Frame, PROTOCOL} from '../../mesh/frame.ts';
import {decodeMarks, encodeMarks, type Mark} from '../../mesh/keys.ts';
import {
  type Answer,
  decodeAnswer,
  decodeRequest,
  encodeAnswer,
  encodeRequest,
  type Request,
} from '../../mesh/message.ts';
import {parseVersionToken, versionToken} from '../../mesh/version-token.ts';
import {partsOfRecord} from './crdt-scripts.ts';
import {
  AMOUNTS,
  AMOUNTS_HEAD,
  CHANGES,
  DIGESTS,
  DOCUMENTS,
  EVENTS,
  EVERY_SHAPE,
  EVERY_SUBJECT,
  headedDelta,
  OLD_DOCUMENTS,
  OLD_SHAPE,
  partsOf,
  RANGES,
  STATES,
  STREAMS,
} from './fuzz-corpus.ts';
import {readCorpus} from './fuzz-files.ts';
import {type Seed, takenApart} from './fuzz-seeds.ts';
import {REPLICAS} from './subjects.ts';

export interface Target {
  readonly name: string;
  /** Several targets may be of one decoder, with other types or in a build with other fields. */
  readonly decoder: string;
  readonly seeds: readonly Seed[];
  /** Throws DecodeError for what is refused. What comes back checks what was read; it throws for what is wrong with it. */
  read(input: Uint8Array): () => void;
}

/** Something that holds of every input does not hold of this one. */
export class Finding extends Error {
  override readonly name = 'Finding';
}

const KEPT = readCorpus();
const SEEDS_MAX = 400;
/** Longer encodings are spoiled at one of many places that are all alike. */
const SEED_BYTES_MAX = 400;

const text = new TextDecoder();

function target(name: string, encodings: readonly Uint8Array[], read: Target['read'], decoder: string = name): Target {
  const distinct = new Map(
    encodings.filter(({length}) => length <= SEED_BYTES_MAX).map(bytes => [toHex(bytes), bytes]),
  );
  const all = [...distinct.values()];
  const every = Math.ceil(all.length / SEEDS_MAX);
  const chosen = [...all.filter((_, at) => at % every === 0), ...(KEPT.get(name) ?? [])];
  const seeds = chosen.map(bytes => takenApart(bytes, read));
  if (seeds.length === 0) throw new Error(`nothing to start from for ${name}`);
  return {name, decoder, seeds, read};
}

function same(again: Uint8Array, input: Uint8Array): void {
  if (!sameBytes(again, input)) throw new Finding(`comes back as ${toHex(again)}`);
}

function written(write: (writer: Writer) => void): Uint8Array {
  const writer = new Writer();
  write(writer);
  return writer.finish();
}

/** A document is as it should be when it is the same after it was written and read. */
function isKept(shape: Shape, document: Document): void {
  const bytes = encodeState(shape, document);
  let copy: Document;
  try {
    copy = decodeState(shape, bytes);
  } catch (error) {
    throw new Finding(`makes a state that is refused: ${String(error)}`);
  }
  same(encodeState(shape, copy), bytes);
}

/** The same document by replicas that write nothing in the inputs, or most of these would be old news to it. */
const byOthers = (shape: Shape, document: Document): Document =>
  decodeState(
    shape,
    REPLICAS.reduce(
      (bytes, id, at) => fromHex(toHex(bytes).replaceAll(id, `d${at}`.repeat(8))),
      encodeState(shape, document),
    ),
  );

const RICHEST = new Map(
  [EVERY_SHAPE, OLD_SHAPE].map(shape => {
    const within = DOCUMENTS.filter(({fields}) => [...fields.keys()].every(name => shape.has(name)));
    const richest = within.toSorted((a, b) => b.fields.size - a.fields.size).slice(0, 8);
    return [shape, richest.map(document => byOthers(shape, document))] as const;
  }),
);

/**
 * Joins what came to a document that covers what it builds on: one that holds something too, one that has seen others where all was
 * removed again, or an empty one.
 */
function isJoined(shape: Shape, came: Document | Delta, input: Uint8Array): void {
  const holders = RICHEST.get(shape)!;
  const [kind, at] = [input.length % 3, Math.floor(input.length / 3)];
  const others = new Map(REPLICAS.flatMap(id => (kind === 1 && !came.vector.has(id) ? [[id, 1] as const] : [])));
  const holder = kind === 0 ? holders[at % holders.length]! : {...EMPTY_DOCUMENT, vector: others};
  const base = 'since' in came ? {...holder, vector: joinVectors(holder.vector, came.since)} : holder;
  const joined = join(shape, base, came);
  isKept(shape, joined);
  if (!('since' in came)) isKept(shape, join(shape, came, base));
  if (join(shape, joined, came) !== joined) throw new Finding('comes as news a second time');
}

function readState(shape: Shape, input: Uint8Array): () => void {
  const document = decodeState(shape, input);
  return () => checkState(shape, document, input);
}

function checkState(shape: Shape, document: Document, input: Uint8Array): void {
  const again = encodeState(shape, document);
  // One with fields that are unknown here is kept in other places, and then stays so.
  const moved = [...document.opaque.values()].flat().some(isOfState);
  if (moved) same(encodeState(shape, decodeState(shape, again)), again);
  else same(again, input);
  isJoined(shape, document, input);
}

/** Records that came in from elsewhere are kept as they are, whatever they hold. */
function isOfState(record: Uint8Array): boolean {
  try {
    return partsOfRecord(record).ofState;
  } catch {
    return false;
  }
}

function readChanges(shape: Shape, input: Uint8Array): () => void {
  const delta = decodeChanges(shape, input);
  return () => {
    if (delta.opaque.size === 0) same(encodeChanges(shape, delta), input);
    if (!coversVector(delta.vector, delta.since)) throw new Finding('a delta that builds on more than it holds');
    isJoined(shape, delta, input);
  };
}

const eventOf = (head: EventHead, {vector, fields}: Document): EventDelta => ({
  head,
  heard: new Map([...vector].filter(([replica]) => replica !== head.replica)),
  fields,
});

function readDelta(shape: Shape, input: Uint8Array): () => void {
  const reader = new Reader(input);
  const head = {replica: decodeReplica(reader), counter: reader.varint(), time: decodeTime(reader)};
  if (head.counter === 0) throw new DecodeError('counters start at 1');
  const delta = decodeDelta(reader, shape, head);
  return () => {
    if (delta.opaque.size === 0) same(headedDelta(head, eventOf(head, delta), shape), input);
    isJoined(shape, delta, input);
  };
}

function readEntry(shape: Shape, input: Uint8Array): () => void {
  const {head, document} = decodeEntry(shape, input);
  return () => {
    const alone = decodeEntryHead(input);
    if (alone.command !== head.command || alone.counter !== head.counter)
      throw new Finding('another head without its delta');
    if (document.opaque.size === 0) same(encodeEntry(shape, head, eventOf(head, document)), input);
  };
}

/** Frames one after the other, each with its length. The first that is refused ends the stream. */
function readStream(shape: Shape, input: Uint8Array): () => void {
  const reader = new Reader(input);
  const decoder = new StreamDecoder(shape);
  const deltas: Delta[] = [];
  let refusal: DecodeError | undefined;
  try {
    while (reader.remaining > 0) deltas.push(decoder.decode(reader.bytes()));
  } catch (error) {
    if (!(error instanceof DecodeError) || deltas.length === 0) throw error;
    refusal = error;
  }
  return () => {
    checkStream(shape, deltas);
    if (refusal) throw new Refused();
  };
}

/** Part of an input was read and is right, and the rest was refused. */
export class Refused extends Error {
  override readonly name = 'Refused';
}

function checkStream(shape: Shape, deltas: readonly Delta[]): void {
  let document: Document | undefined;
  for (const delta of deltas) {
    const changes = encodeChanges(shape, delta);
    same(encodeChanges(shape, decodeChanges(shape, changes)), changes);
    document ??= {...EMPTY_DOCUMENT, vector: delta.since};
    if (!coversVector(document.vector, delta.since)) return; // What it heard of others comes from them.
    document = join(shape, document, delta);
  }
  if (document) isKept(shape, document);
}

function readPart(name: string, input: Uint8Array): () => void {
  const {type} = EVERY_SUBJECT.get(name)!;
  const part: unknown = decodePart(type, input);
  return () => {
    same(encodePart(type, part), input);
    for (const one of [...type.parts(part)].slice(0, 2)) decodePart(type, encodePart(type, one[1]));
    for (const [tag, piece] of type.pieces(part)) if (tag && type.isEmpty(piece)) throw new Finding('an empty piece');
    for (const {values} of type.conflicts?.(part) ?? []) if (values.length < 2) throw new Finding('no conflict');
  };
}

function readFrame(input: Uint8Array): () => void {
  const frame = decodeFrame(input);
  return () => {
    // The first two bytes say which protocols the sender speaks: readers take those of older and newer senders. Of several
    // entries those of protocol 2 wrote each in full.
    if (frame.entries.length < 2 || input[2]! >= 2) same(encodeFrame(frame).subarray(2), input.subarray(2));
    if (input[1]! > PROTOCOL) throw new Finding('a frame for a newer protocol was read');
  };
}

function readRequest(input: Uint8Array): () => void {
  const request = decodeRequest(input);
  return () => {
    const again = encodeRequest(request);
    if (request.type !== 'frame') return same(again, input);
    if (request.frame.entries.length < 2 || input[3]! >= 2) same(again.subarray(3), input.subarray(3));
    if (input[2]! > PROTOCOL) throw new Finding('a frame for a newer protocol was read');
  };
}

function readAnswer(input: Uint8Array): () => void {
  const answer = decodeAnswer(input);
  return () => same(encodeAnswer(answer), input);
}

function readDigests(input: Uint8Array): () => void {
  const digests = decodeDigests(new Reader(input), EVERY_SHAPE);
  return () => {
    same(
      written(writer => encodeDigests(writer, EVERY_SHAPE, digests)),
      input,
    );
    const holder = DOCUMENTS[input.length % DOCUMENTS.length]!;
    encodeRanges(EVERY_SHAPE, holder, differing(EVERY_SHAPE, holder, digests));
  };
}

function readRanges(input: Uint8Array): () => void {
  const ranged = decodeRanges(new Reader(input), EVERY_SHAPE);
  return () => {
    same(encodeRanges(EVERY_SHAPE, ranged, ranged.ranges), input);
    // Whoever had seen just what was compared: then they must fit.
    const holder = {...DOCUMENTS[input.length % DOCUMENTS.length]!, vector: ranged.ranges.compared};
    const joined = joinRanges(EVERY_SHAPE, holder, ranged);
    if (!joined) throw new Finding('ranges that do not fit to what they were compared with');
  };
}

function readAmounts(input: Uint8Array): () => void {
  const amounts = decodeAmounts(EVERY_SHAPE, AMOUNTS_HEAD, input, () => {
    throw new DecodeError('not in the shape');
  });
  return () => {
    const {replica, counter, time} = AMOUNTS_HEAD;
    const encoder = new Encoder(new ReplicaTable([replica], [counter]), time);
    encodeFields(encoder, EVERY_SHAPE, amounts, true);
    same(encoder.finish(), input);
  };
}

function readToken(input: Uint8Array): () => void {
  const token = text.decode(input);
  const version = parseVersionToken(token);
  if (!version) throw new DecodeError('no token');
  return () => {
    if (versionToken(version) !== token) throw new Finding('another token for the same version');
  };
}

function recoded<T>(
  input: Uint8Array,
  read: (reader: Reader) => T,
  write: (writer: Writer, value: T) => void,
): () => void {
  const reader = new Reader(input);
  const value = read(reader);
  reader.end();
  return () => {
    const again = written(writer => write(writer, value));
    same(again, input);
  };
}

const JSON_VALUES: readonly JsonValue[] = [
  [null, true, false, 0, 63, 64, 255, 256, 2 ** 32, 2 ** 53 - 1, -1, -(2 ** 53) + 1],
  [0.5, -0.25, 19.99, 0.000001, 1e300, 5e-324, 2 ** 60, -1.5e-7],
  ['', 'x', 'é', '😀', 'x'.repeat(63), 'x'.repeat(64), 'ü'.repeat(40)],
  {a: 1, b: {c: [1, 2, {d: null}]}, __proto__x: 'x', '': []},
  {['__proto__']: 1, z: {['__proto__']: {}}},
  [[[[[[[[[[[[1]]]]]]]]]]]],
];

const VECTORS = DOCUMENTS.map(({vector}) => written(writer => encodeVector(writer, vector)));
const ENTRIES = EVENTS.map(({head, delta, before}, at) => {
  const amounts = amountsOf(EVERY_SHAPE, before, delta);
  const mark = {key: `key ${at % 7}`, fingerprint: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)};
  const command = ['patch', 'reserve', '$join'][at % 3]!;
  return encodeEntry(EVERY_SHAPE, {...head, command, ...(at % 2 === 0 && {mark, ...(amounts && {amounts})})}, delta);
});
export const MARKS: readonly Mark[] = EVENTS.slice(0, 12).map(({head}, at) => ({
  key: ['', 'key', 'é', '\u0000undo x'][at % 4]! + at,
  fingerprint: new Uint8Array(8).fill(at),
  dot: head,
  time: head.time,
}));
const SNAPSHOT = '00112233aabbccdd';

function bodyOf(at: number): Body {
  const bytes = STATES[at]!.slice(0, 40);
  const bodies: readonly Body[] = [
    {type: 'entries'},
    {type: 'changes', bytes},
    {type: 'state', bytes},
    {type: 'offer'},
    {type: 'ranges', bytes},
    {type: 'chunk', snapshot: SNAPSHOT, index: at, total: at + 1 + (at % 3), bytes},
  ];
  return bodies[at % bodies.length]!;
}

export const FRAMES: readonly Frame[] = DOCUMENTS.slice(0, 120).map(({vector}, at) => {
  const body = bodyOf(at);
  return {
    policyVersion: at,
    schemaHash: at * 12_345_678,
    from: ['eu', 'us', ''][at % 3]!,
    replica: REPLICAS[at % 3]!,
    epoch: at % 5,
    since: vector,
    ...(at % 4 < 2 ? {pull: vector, staged: at % 4 === 0 ? {snapshot: SNAPSHOT, chunks: 1 + at} : undefined} : {}),
    relay: ['ap', 'sa'].slice(0, at % 3),
    entries: body.type === 'entries' ? ENTRIES.slice(at, at + 1 + (at % 3)) : [],
    body,
    marks: body.type === 'entries' ? [] : MARKS.slice(at % 7, (at % 7) + (at % 3)),
  };
});

const [DONOR, RECEIVER] = REPLICAS;
const AMOUNTS_OF_RIGHTS = [0, 1, 127, 128, Number.MAX_SAFE_INTEGER, 2n ** 53n, 2n ** 512n - 1n];
export const REQUESTS: readonly Request[] = [
  {type: 'probe'},
  ...AMOUNTS_OF_RIGHTS.map((needed, at): Request => {
    const wanted = AMOUNTS_OF_RIGHTS.at(-1 - at)!;
    return {
      type: 'rights',
      request: {field: ['stock', 'é', ''][at % 3]!, donor: DONOR, receiver: RECEIVER, needed, wanted},
    };
  }),
  ...FRAMES.slice(0, 24).map((frame): Request => ({type: 'frame', frame})),
];
export const ANSWERS: readonly Answer[] = [
  {type: 'absent'},
  {type: 'retired'},
  {type: 'refused', why: 'not here'},
  {type: 'later', why: 'too much at once', afterMs: 250},
  ...AMOUNTS_OF_RIGHTS.map((amount): Answer => ({type: 'granted', amount})),
  ...DOCUMENTS.slice(0, 40).flatMap(({vector}, at): Answer[] => [
    {type: 'applied', vector, credit: at * 8_191},
    {type: 'gap', vector},
    {type: 'digests', vector, bytes: DIGESTS[at]!.slice(0, 40)},
    {type: 'staged', vector, snapshot: SNAPSHOT, chunks: at},
  ]),
];

export function createTargets(): readonly Target[] {
  const deltas = EVENTS.map(({head, delta}) => headedDelta(head, delta));
  const oldStates = OLD_DOCUMENTS.map(document => encodeState(OLD_SHAPE, document));
  return [
    target('state', STATES, input => readState(EVERY_SHAPE, input)),
    target('state-of-old-build', [...oldStates, ...STATES], input => readState(OLD_SHAPE, input), 'state'),
    target('delta', deltas, input => readDelta(EVERY_SHAPE, input)),
    target('delta-in-old-build', deltas, input => readDelta(OLD_SHAPE, input), 'delta'),
    target('changes', CHANGES, input => readChanges(EVERY_SHAPE, input)),
    target('changes-in-old-build', CHANGES, input => readChanges(OLD_SHAPE, input), 'changes'),
    target('stream', STREAMS, input => readStream(EVERY_SHAPE, input)),
    target('stream-in-old-build', STREAMS, input => readStream(OLD_SHAPE, input), 'stream'),
    target('entry', ENTRIES, input => readEntry(EVERY_SHAPE, input)),
    target('frame', FRAMES.map(encodeFrame), readFrame),
    target('request', REQUESTS.map(encodeRequest), readRequest),
    target('answer', ANSWERS.map(encodeAnswer), readAnswer),
    target(
      'marks',
      MARKS.map((_, at) => written(writer => encodeMarks(writer, MARKS.slice(at, at + 3)))),
      input => recoded(input, decodeMarks, encodeMarks),
    ),
    target('digests', DIGESTS, readDigests),
    target('ranges', RANGES, readRanges),
    target('amounts', AMOUNTS, readAmounts),
    target('vector', VECTORS, input => recoded(input, decodeVector, encodeVector)),
    target(
      'json',
      JSON_VALUES.flatMap(value => [value, ...Object.values(value as object)] as JsonValue[]).map(value =>
        written(writer => encodeJson(writer, value)),
      ),
      input =>
        recoded(
          input,
          reader => decodeJson(reader),
          (writer, value) => encodeJson(writer, value),
        ),
    ),
    target(
      'version-token',
      DOCUMENTS.map(({vector}) => new TextEncoder().encode(versionToken(vector))),
      readToken,
    ),
    ...[...EVERY_SUBJECT].map(([name, subject]) =>
      target(`part-${name.replaceAll(' ', '-')}`, partsOf(subject), input => readPart(name, input), 'part'),
    ),
  ];
}
