// Messages and states of builds that have been, as bytes on disk, and what each of them says. A build may say it otherwise from
// some day on, but must go on reading what was said.
import {createHash} from 'node:crypto';
import {readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {Reader, toHex, Writer} from '../../crdt/bytes.ts';
import {decodeVector, Encoder, encodeVector, ReplicaTable} from '../../crdt/codec.ts';
import {
  decodeChanges,
  decodeState,
  type Delta,
  type Document,
  encodeChanges,
  encodeFields,
  encodePart,
  encodeState,
  fieldState,
} from '../../crdt/document.ts';
import {decodeDigests, decodeRanges, encodeDigests, encodeRanges} from '../../crdt/patch.ts';
import {decodeAmounts} from '../../crdt/undo.ts';
import {decodeEntry, encodeEntry} from '../../mesh/entry.ts';
import {decodeFrame, encodeFrame} from '../../mesh/frame.ts';
import {decodeMarks, encodeMarks} from '../../mesh/keys.ts';
import {decodeAnswer, decodeRequest, encodeAnswer, encodeRequest} from '../../mesh/message.ts';
import {parseVersionToken, versionToken} from '../../mesh/version-token.ts';
import {AMOUNTS_HEAD, EVERY_SHAPE, EVERY_SUBJECT} from './fuzz-corpus.ts';

export const SKEW_CORPUS = fileURLToPath(new URL('../corpus/', import.meta.url).href);

/** What was read, as plain JSON, and the same written again by this build. */
export interface Reading {
  readonly facts: unknown;
  readonly again: Uint8Array;
}

export interface Kept {
  readonly file: string;
  readonly kind: string;
  readonly sha256: string;
  readonly facts: unknown;
}

function written(write: (writer: Writer) => void): Uint8Array {
  const writer = new Writer();
  write(writer);
  return writer.finish();
}

/** Maps by key, bytes in hex, large numbers as text; what is undefined is not there. */
export function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) return toHex(value);
  if (value instanceof Set) return [...value].map(plain);
  const entries = value instanceof Map || Symbol.iterator in value ? undefined : Object.entries(value);
  if (!entries && Array.isArray(value)) return value.map(plain);
  const all = entries ?? [...(value as ReadonlyMap<string, unknown>)].sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(all.filter(([, item]) => item !== undefined).map(([key, item]) => [key, plain(item)]));
}

/** What a user is shown of it, and what it stands on. */
function shown({vector, latest, fields}: Document): unknown {
  return plain({
    vector,
    latest,
    fields: new Map(
      [...fields.keys()].map(name => {
        const {type, read} = EVERY_SUBJECT.get(name)!;
        return [name, read(fieldState<unknown>({fields} as Document, name, type))];
      }),
    ),
  });
}

/** A partial state shows nothing by itself: its bytes, field by field. */
const parts = (fields: Document['fields']): unknown =>
  plain(new Map([...fields].map(([name, state]) => [name, encodePart(EVERY_SHAPE.get(name)!, state)])));

const told = ({vector, since, latest, fields}: Delta): unknown => ({
  ...(plain({vector, since, latest}) as object),
  fields: parts(fields),
});

export const READERS: Readonly<Record<string, (bytes: Uint8Array) => Reading>> = {
  state(bytes) {
    const document = decodeState(EVERY_SHAPE, bytes);
    return {facts: shown(document), again: encodeState(EVERY_SHAPE, document)};
  },
  changes(bytes) {
    const delta = decodeChanges(EVERY_SHAPE, bytes);
    return {facts: told(delta), again: encodeChanges(EVERY_SHAPE, delta)};
  },
  entry(bytes) {
    const {head, document} = decodeEntry(EVERY_SHAPE, bytes);
    const heard = new Map([...document.vector].filter(([replica]) => replica !== head.replica));
    return {
      facts: {head: plain(head), delta: told(document)},
      again: encodeEntry(EVERY_SHAPE, head, {head, heard, fields: document.fields}),
    };
  },
  frame(bytes) {
    const frame = decodeFrame(bytes);
    return {facts: plain(frame), again: encodeFrame(frame)};
  },
  request(bytes) {
    const request = decodeRequest(bytes);
    return {facts: plain(request), again: encodeRequest(request)};
  },
  answer(bytes) {
    const answer = decodeAnswer(bytes);
    return {facts: plain(answer), again: encodeAnswer(answer)};
  },
  marks(bytes) {
    const marks = decodeMarks(new Reader(bytes));
    return {facts: plain(marks), again: written(writer => encodeMarks(writer, marks))};
  },
  digests(bytes) {
    const digests = decodeDigests(new Reader(bytes), EVERY_SHAPE);
    return {facts: plain(digests), again: written(writer => encodeDigests(writer, EVERY_SHAPE, digests))};
  },
  ranges(bytes) {
    const ranged = decodeRanges(new Reader(bytes), EVERY_SHAPE);
    return {
      facts: {state: shown(ranged), ranges: plain(ranged.ranges)},
      again: encodeRanges(EVERY_SHAPE, ranged, ranged.ranges),
    };
  },
  amounts(bytes) {
    const amounts = decodeAmounts(EVERY_SHAPE, AMOUNTS_HEAD, bytes);
    const {replica, counter, time} = AMOUNTS_HEAD;
    const encoder = new Encoder(new ReplicaTable([replica], [counter]), time);
    encodeFields(encoder, EVERY_SHAPE, amounts, true);
    return {facts: parts(amounts), again: encoder.finish()};
  },
  vector(bytes) {
    const vector = decodeVector(new Reader(bytes));
    return {facts: plain(vector), again: written(writer => encodeVector(writer, vector))};
  },
  token(bytes) {
    const vector = parseVersionToken(new TextDecoder().decode(bytes));
    return {facts: plain(vector), again: new TextEncoder().encode(vector && versionToken(vector))};
  },
};

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
export const readKept = (file: string): Uint8Array => new Uint8Array(readFileSync(join(SKEW_CORPUS, file)));
export const keptFiles = (): readonly string[] => readdirSync(SKEW_CORPUS).filter(file => file.endsWith('.bin'));
export const readIndex = (): readonly Kept[] =>
  JSON.parse(readFileSync(join(SKEW_CORPUS, 'index.json'), 'utf8')) as Kept[];
