import fc from 'fast-check';
import {expect, test} from 'vitest';
import {toHex} from '../../crdt/bytes.ts';
import type {Dot, ReplicaId} from '../../crdt/dot.ts';
import {counterOf, coversVector, type VersionVector, withDot} from '../../crdt/version-vector.ts';
import {
  admit,
  decodeFrame,
  encodeFrame,
  FRAME_BYTES_MAX,
  FRAME_ENTRIES_BYTES_MAX,
  knownOf,
  type LogEntry,
  PROTOCOL,
  schemaHash,
  selectSome,
  sinceOf,
} from '../../mesh/frame.ts';
import {deepFreeze} from '../support/deep-freeze.ts';
import {
  damaged,
  decodedOr,
  EMPTY_FRAME as EMPTY,
  frame,
  type History,
  history,
  IDS,
  isCausallyClosed,
  sameVector,
  SHAPE,
  vector,
} from '../support/mesh-arbitraries.ts';

const [EU, US, AP] = IDS;
const dot = (replica: ReplicaId, counter: number): Dot => ({replica, counter});
const runOf = (replica: ReplicaId, from: number, to: number): Dot[] =>
  Array.from({length: to - from + 1}, (_, index) => dot(replica, from + index));

test('[FR1] a frame comes back as it was, and equal frames are equal bytes', () => {
  const property = fc.property(frame, written => {
    const bytes = encodeFrame(written);
    expect(decodeFrame(bytes)).toEqual(written);
    const reordered = {...written, since: new Map([...written.since].reverse())};
    expect(toHex(encodeFrame(reordered))).toBe(toHex(bytes));
  });
  fc.assert(property, {numRuns: 500});
});

test('[FR2] whatever the bytes, a frame is read or refused with a DecodeError', () => {
  const property = fc.property(damaged(frame.map(encodeFrame)), bytes => {
    const read = decodedOr(() => decodeFrame(bytes));
    if (!read) return;
    // All but the sender's own protocol, which decides nothing, has one encoding.
    const again = encodeFrame(read);
    again[0] = bytes[0]!;
    again[1] = bytes[1]!;
    expect(toHex(again)).toBe(toHex(bytes));
  });
  fc.assert(property, {numRuns: 3000});
});

test('[FR3] a frame of FRAME_BYTES_MAX is read, one byte more is refused', () => {
  const sized = (length: number) => encodeFrame({...EMPTY, entries: [new Uint8Array(length)]});
  const overhead = sized(FRAME_BYTES_MAX - 100).length - (FRAME_BYTES_MAX - 100);
  const largest = sized(FRAME_BYTES_MAX - overhead);
  expect(largest.length).toBe(FRAME_BYTES_MAX);
  expect(decodeFrame(largest).entries[0]!.length).toBe(FRAME_BYTES_MAX - overhead);
  expect(decodedOr(() => decodeFrame(sized(FRAME_BYTES_MAX - overhead + 1)))).toBe(undefined);
});

test('[FR4] a frame from a newer build is read if its least reader is this protocol or older, and else refused', () => {
  const bytes = encodeFrame(EMPTY);
  const versions = (sender: number, leastReader: number) => new Uint8Array([sender, leastReader, ...bytes.slice(2)]);
  expect(decodeFrame(versions(PROTOCOL + 1, PROTOCOL))).toEqual(EMPTY);
  expect(decodedOr(() => decodeFrame(versions(PROTOCOL + 1, PROTOCOL + 1)))).toBe(undefined);
});

test('[FR5] entries do not hold on to the buffer that they were read from', () => {
  const bytes = encodeFrame({...EMPTY, entries: [new Uint8Array([7, 7])]});
  const {entries} = decodeFrame(bytes);
  bytes.fill(0);
  expect([...entries[0]!]).toEqual([7, 7]);
});

test('[FR6] the schema hash tells fields, types and names apart, and not the order in which they were listed', () => {
  const reordered = new Map([...SHAPE].reverse());
  expect(schemaHash(reordered)).toBe(schemaHash(SHAPE));
  const renamed = new Map([...SHAPE].map(([name, type]) => [`${name}2`, type] as const));
  const retyped = new Map([...SHAPE].map(([name, type]) => [name, {...type, code: type.code + 1}] as const));
  const hashes = [SHAPE, renamed, retyped, new Map()].map(schemaHash);
  expect(new Set(hashes).size).toBe(4);
});

test('[FR15] a chunk has an index below its total, and no frame has a body that is not known', () => {
  const chunk = (index: number, total: number) =>
    encodeFrame({...EMPTY, body: {type: 'chunk', snapshot: '00'.repeat(8), index, total, bytes: new Uint8Array(1)}});
  expect(decodeFrame(chunk(1, 2)).body).toMatchObject({index: 1, total: 2});
  expect(decodedOr(() => decodeFrame(chunk(2, 2)))).toBe(undefined);
  const bytes = encodeFrame(EMPTY);
  expect(bytes.at(-1)).toBe(0);
  bytes[bytes.length - 1] = 6;
  expect(decodedOr(() => decodeFrame(bytes))).toBe(undefined);
});

// Admission.

test('[ADM1] a frame whose condition is not met is a gap, whatever it carries', () => {
  const property = fc.property(vector, vector, (own, since) => {
    const {type} = admit(own, since, []);
    expect(type).toBe(coversVector(own, since) ? 'apply' : 'gap');
    if (!coversVector(own, since))
      expect(admit(own, since, runOf(EU, counterOf(own, EU) + 1, counterOf(own, EU) + 2)).type).toBe('gap');
  });
  fc.assert(property);
});

const shortVector = fc
  .array(fc.tuple(fc.constantFrom(...IDS), fc.integer({min: 1, max: 4})))
  .map(pairs => new Map(pairs));
const dots = fc.array(fc.record({replica: fc.constantFrom(...IDS), counter: fc.integer({min: 1, max: 6})}), {
  maxLength: 8,
});

test('[ADM2] what is new applies in order, once, if nothing is missing before it; else nothing of the frame does', () => {
  const property = fc.property(shortVector, dots, (own, sent) => {
    const admission = admit(deepFreeze(own), new Map(), sent);
    // The same, slowly: every event that was seen, as a set.
    const seen = new Set([...own].flatMap(([replica, upTo]) => runOf(replica, 1, upTo).map(nameOf)));
    const fresh: number[] = [];
    let missing = false;
    for (const [index, one] of sent.entries()) {
      if (seen.has(nameOf(one))) continue;
      missing ||= one.counter > 1 && !seen.has(nameOf(dot(one.replica, one.counter - 1)));
      seen.add(nameOf(one));
      fresh.push(index);
    }
    expect(admission.type).toBe(missing ? 'gap' : 'apply');
    if (admission.type !== 'apply') return;
    expect(admission.fresh).toEqual(fresh);
    expect(new Set([...admission.vector].flatMap(([replica, upTo]) => runOf(replica, 1, upTo).map(nameOf)))).toEqual(
      seen,
    );
  });
  fc.assert(property, {numRuns: 2000});
});

const nameOf = ({replica, counter}: Dot): string => `${replica}:${counter}`;

test('[ADM2] a maximum over a gap would claim what never arrived', () => {
  expect(admit(new Map([[EU, 1]]), new Map(), [dot(EU, 3)])).toEqual({type: 'gap'});
  expect(admit(new Map([[EU, 1]]), new Map(), [dot(US, 1), dot(EU, 3)])).toEqual({type: 'gap'});
  expect(admit(new Map([[EU, 1]]), new Map(), [dot(EU, 1), dot(EU, 2), dot(EU, 2)])).toEqual({
    type: 'apply',
    fresh: [1],
    vector: new Map([[EU, 2]]),
  });
});

test('[ADM3] the same frame again applies, and changes nothing', () => {
  const property = fc.property(shortVector, dots, (own, sent) => {
    const first = admit(own, new Map(), sent);
    if (first.type === 'gap') return;
    expect(admit(first.vector, new Map(), sent)).toEqual({type: 'apply', fresh: [], vector: first.vector});
  });
  fc.assert(property, {numRuns: 1000});
});

// What is sent.

interface Sent {
  readonly since: VersionVector;
  readonly dots: readonly Dot[];
}

const dotsOf = (log: readonly LogEntry[], entries: readonly Uint8Array[]): Dot[] =>
  entries.map(bytes => log.find(entry => entry.bytes === bytes)!.dot);

/** The end of the log from the `own`-th last entry of its replica on, as the store hands it over. */
function tailOf(log: readonly LogEntry[], replica: ReplicaId, own: number): readonly LogEntry[] {
  if (own <= 0) return [];
  const ownAt = [...log.keys()].filter(at => log[at]!.dot.replica === replica);
  return log.slice(ownAt.at(-own) ?? 0);
}

/** As an entity builds frames: its own entries from the end of the log, or everything that is lacking from the front. */
function sends(past: History, from: ReplicaId, cover: VersionVector, relay: boolean): Sent {
  const [log, own] = [past.logs.get(from)!, past.vectors.get(from)!];
  if (relay) {
    const lacking = log.filter(entry => entry.dot.counter > counterOf(cover, entry.dot.replica));
    return {since: sinceOf(cover, own), dots: lacking.map(entry => entry.dot)};
  }
  const due = counterOf(own, from) - counterOf(cover, from);
  const {entries, since} = selectSome(
    tailOf(log, from, due),
    own,
    one => one.replica === from && one.counter > counterOf(cover, from),
  );
  return {since, dots: dotsOf(log, entries)};
}

const scene = fc.tuple(
  history,
  fc.constantFrom(...IDS),
  fc.constantFrom(...IDS),
  fc.constantFrom(...IDS),
  fc.boolean(),
);

test('[FR7] [ADM4] who meets the condition of a frame and applies it has a causally closed state', () => {
  const property = fc.property(scene, ([past, from, to, believed, relay]) => {
    // What the sender takes the receiver to hold may be old, or about another replica: the condition guards against it.
    const cover = past.vectors.get(believed)!;
    const {since, dots: carried} = sends(past, from, cover, relay);
    const own = past.vectors.get(to)!;
    expect(isCausallyClosed(past, own)).toBe(true);
    const admission = admit(own, since, carried);
    if (admission.type === 'apply') expect(isCausallyClosed(past, admission.vector)).toBe(true);
  });
  fc.assert(property, {numRuns: 3000});
});

test('[FR8] what a receiver is truly known to lack is admitted, and then nothing of it is lacking', () => {
  const property = fc.property(scene, ([past, from, to]) => {
    const own = past.vectors.get(to)!;
    const {since, dots: carried} = sends(past, from, own, true);
    const admission = admit(own, since, carried);
    expect(admission.type).toBe('apply');
    if (admission.type !== 'apply') return;
    expect(coversVector(admission.vector, past.vectors.get(from)!)).toBe(true);
    expect(admission.fresh.length).toBe(carried.length); // Nothing was sent that was there already.
  });
  fc.assert(property, {numRuns: 1000});
});

test('[FR9] the condition holds all that the entries stand on, and the sender holds all of the condition', () => {
  const property = fc.property(scene, ([past, from, , believed]) => {
    const cover = past.vectors.get(believed)!;
    const {since, dots: carried} = sends(past, from, cover, false);
    const reached = carried.reduce<VersionVector>(withDot, since);
    for (const {dot: one, after} of past.events)
      if (carried.some(other => nameOf(other) === nameOf(one))) expect(coversVector(reached, after)).toBe(true);
    const own = past.vectors.get(from)!;
    expect(coversVector(own, since)).toBe(true);
    expect(coversVector(own, knownOf(since, carried))).toBe(true);
    for (const counter of since.values()) expect(counter).toBeGreaterThan(0);
  });
  fc.assert(property, {numRuns: 2000});
});

test('[FR10] entries that one frame does not take come with the next, and one is always taken', () => {
  const sized = (length: number): LogEntry[] => runOf(EU, 1, 5).map(one => ({dot: one, bytes: new Uint8Array(length)}));
  const all = (log: readonly LogEntry[], from: number) =>
    selectSome(log.slice(from), new Map([[EU, 5]]), one => one.counter > from);
  const half = sized(FRAME_ENTRIES_BYTES_MAX / 2 - 4);
  expect(all(half, 0)).toMatchObject({entries: {length: 2}, since: new Map()});
  expect(all(half, 2)).toMatchObject({entries: {length: 2}, since: new Map([[EU, 2]])});
  expect(all(half, 4)).toMatchObject({entries: {length: 1}, since: new Map([[EU, 4]])});
  expect(all(sized(FRAME_ENTRIES_BYTES_MAX / 2 - 3), 0)).toMatchObject({entries: {length: 1}});
  expect(all(sized(FRAME_BYTES_MAX), 0)).toMatchObject({entries: {length: 1}});
  const small = sized(10);
  expect(encodeFrame({...EMPTY, ...all(small, 0)}).length).toBeLessThan(FRAME_BYTES_MAX);
});

test('[FR11] others’ entries that are left out before the last one sent become a condition, those after it do not', () => {
  const log = [dot(EU, 1), dot(US, 1), dot(EU, 2), dot(AP, 1)].map(one => ({dot: one, bytes: new Uint8Array(1)}));
  const own = new Map([
    [EU, 2],
    [US, 1],
    [AP, 1],
  ]);
  const {entries, since} = selectSome(log, own, one => one.replica === EU);
  expect(entries.length).toBe(2);
  expect(since).toEqual(new Map([[US, 1]]));
  expect(selectSome([], own, () => true)).toEqual({entries: [], since: own});
});

test('[FR12] the condition of a relay is what the receiver said, as far as the sender knows of it', () => {
  const property = fc.property(vector, vector, (cover, own) => {
    const since = sinceOf(cover, own);
    expect(coversVector(cover, since) && coversVector(own, since)).toBe(true);
    if (coversVector(own, cover)) expect(sameVector(since, cover)).toBe(true);
  });
  fc.assert(property);
});
