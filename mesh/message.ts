// What replicas of one entity say to each other: a request and its answer, each complete in itself.
import {DecodeError, Reader, toHex, Writer} from '../crdt/bytes.ts';
import {decodeReplica, decodeVector, encodeReplica, encodeVector} from '../crdt/codec.ts';
import type {ReplicaId} from '../crdt/dot.ts';
import type {Exact} from '../crdt/exact.ts';
import type {VersionVector} from '../crdt/version-vector.ts';
import {decodeFrame, encodeFrame, type Frame, FRAME_BYTES_MAX, SNAPSHOT_ID_BYTES} from './frame.ts';

/** A frame, and the byte that says that it is one. */
export const REQUEST_BYTES_MAX = FRAME_BYTES_MAX + 1;
/** The digests of a state of a hundred megabytes; all other answers are a vector and little more. */
export const ANSWER_BYTES_MAX = 1024 * 1024;

export interface RightsRequest {
  readonly field: string;
  readonly donor: ReplicaId;
  readonly receiver: ReplicaId;
  readonly needed: Exact;
  readonly wanted: Exact;
}

export type Request =
  | {readonly type: 'frame'; readonly frame: Frame}
  /** What do you hold? Creates nothing. */
  | {readonly type: 'probe'}
  | {readonly type: 'rights'; readonly request: RightsRequest}
  /** Take nothing more from this replica itself: another one goes on for it. How far have you seen it? */
  | {readonly type: 'seal'; readonly replica: ReplicaId};

export type Answer =
  /** Everything that the request brought is on disk. `credit`: bytes that the next frame may have. */
  | {readonly type: 'applied'; readonly vector: VersionVector; readonly credit: number}
  /** Something that it builds on is missing. */
  | {readonly type: 'gap'; readonly vector: VersionVector}
  /** No replica is here. */
  | {readonly type: 'absent'}
  /** By the policy here. */
  | {readonly type: 'refused'; readonly why: string}
  /** Not now; the same again after a while. */
  | {readonly type: 'later'; readonly why: string; readonly afterMs: number}
  /** Digests of what is here, as an offer asked for. */
  | {readonly type: 'digests'; readonly vector: VersionVector; readonly bytes: Uint8Array}
  /** So many chunks of the snapshot are on disk. */
  | {readonly type: 'staged'; readonly snapshot: string; readonly chunks: number; readonly vector: VersionVector}
  /** The sender has left this entity, as far as is known here: it holds a state that nobody waits for any more. */
  | {readonly type: 'retired'}
  | {readonly type: 'granted'; readonly amount: Exact};

const REQUESTS = ['frame', 'probe', 'rights', 'seal'] as const;
const ANSWERS = ['applied', 'gap', 'absent', 'refused', 'later', 'digests', 'staged', 'retired', 'granted'] as const;

export function encodeRequest(request: Request): Uint8Array {
  const writer = new Writer();
  writer.byte(REQUESTS.indexOf(request.type));
  if (request.type === 'frame') writer.raw(encodeFrame(request.frame));
  if (request.type === 'seal') encodeReplica(writer, request.replica);
  if (request.type === 'rights') {
    const {field, donor, receiver, needed, wanted} = request.request;
    writer.string(field);
    writer.hex(donor);
    writer.hex(receiver);
    writer.exact(needed);
    writer.exact(wanted);
  }
  return writer.finish();
}

export function decodeRequest(bytes: Uint8Array): Request {
  if (bytes.length > REQUEST_BYTES_MAX) throw new DecodeError('request too large');
  const reader = new Reader(bytes);
  const type = REQUESTS[reader.byte()];
  if (type === undefined) throw new DecodeError('unknown request');
  if (type === 'frame') return {type, frame: decodeFrame(reader.raw(reader.remaining))};
  if (type === 'seal') {
    const replica = decodeReplica(reader);
    reader.end();
    return {type, replica};
  }
  if (type === 'probe') {
    reader.end();
    return {type};
  }
  const request = {
    field: reader.string(),
    donor: decodeReplica(reader),
    receiver: decodeReplica(reader),
    needed: reader.exact(),
    wanted: reader.exact(),
  };
  reader.end();
  return {type, request};
}

export function encodeAnswer(answer: Answer): Uint8Array {
  const writer = new Writer();
  writer.byte(ANSWERS.indexOf(answer.type));
  if ('vector' in answer) encodeVector(writer, answer.vector);
  if (answer.type === 'applied') writer.varint(answer.credit);
  if ('why' in answer) writer.string(answer.why);
  if (answer.type === 'later') writer.varint(answer.afterMs);
  if (answer.type === 'digests') writer.bytes(answer.bytes);
  if (answer.type === 'staged') {
    writer.hex(answer.snapshot);
    writer.varint(answer.chunks);
  }
  if (answer.type === 'granted') writer.exact(answer.amount);
  return writer.finish();
}

export function decodeAnswer(bytes: Uint8Array): Answer {
  if (bytes.length > ANSWER_BYTES_MAX) throw new DecodeError('answer too large');
  const reader = new Reader(bytes);
  const type = ANSWERS[reader.byte()];
  const answer = readAnswer(type, reader);
  reader.end();
  return answer;
}

function readAnswer(type: (typeof ANSWERS)[number] | undefined, reader: Reader): Answer {
  switch (type) {
    case 'applied':
      return {type, vector: decodeVector(reader), credit: reader.varint()};
    case 'gap':
      return {type, vector: decodeVector(reader)};
    case 'absent':
    case 'retired':
      return {type};
    case 'refused':
      return {type, why: reader.string()};
    case 'later':
      return {type, why: reader.string(), afterMs: reader.varint()};
    case 'digests':
      return {type, vector: decodeVector(reader), bytes: reader.bytes().slice()};
    case 'staged': {
      const vector = decodeVector(reader);
      return {type, vector, snapshot: toHex(reader.raw(SNAPSHOT_ID_BYTES)), chunks: reader.varint()};
    }
    case 'granted':
      return {type, amount: reader.exact()};
    case undefined:
      throw new DecodeError('unknown answer');
    default:
      return type satisfies never;
  }
}
