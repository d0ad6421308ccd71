// Builds of different ages in one mesh: what earlier ones wrote is in test/corpus, and what later ones may write is made of it.
import {expect, test} from 'vitest';
import {toHex} from '../../crdt/bytes.ts';
import type {Dot} from '../../crdt/dot.ts';
import {EMPTY_VECTOR} from '../../crdt/version-vector.ts';
import {decodeEntry, decodeEntryHead} from '../../mesh/entry.ts';
import {decodeFrame, OLDEST_PROTOCOL, PROTOCOL} from '../../mesh/frame.ts';
import {decodeRequest} from '../../mesh/message.ts';
import {frameFor} from '../../mesh/ladder.ts';
import {step} from '../../mesh/replica.ts';
import {Turn} from '../../mesh/turn.ts';
import {OLD_SHAPE} from '../support/fuzz-corpus.ts';
import {decodedOr, EMPTY_FRAME} from '../support/mesh-arbitraries.ts';
import {aroundOf, openedWith} from '../support/opened-replica.ts';
import {keptFiles, readIndex, readKept, READERS, sha256} from '../support/skew-corpus.ts';

const INDEX = readIndex();
const nameOf = ({replica, counter}: Dot): string => `${replica}:${counter}`;
const ofKind = (kind: string): readonly Uint8Array[] =>
  INDEX.filter(one => one.kind === kind).map(({file}) => readKept(file));

/** Frames of older protocols: this build says its own number in them, and tells several entries by what differs. */
const isWrittenOtherwise = (kind: string, bytes: Uint8Array): boolean => {
  if (kind === 'request' && decodeRequest(bytes).type !== 'frame') return false;
  const protocol = {frame: bytes[0]!, request: bytes[1]!}[kind];
  return protocol !== undefined && protocol < PROTOCOL;
};

test('[SKW1] the corpus is as it was written, and all kinds of things are in it', () => {
  expect(INDEX.map(({file}) => file).sort()).toEqual([...keptFiles()].sort());
  expect(Object.keys(READERS).filter(kind => ofKind(kind).length === 0)).toEqual([]);
  expect(INDEX.filter(({file, sha256: hash}) => sha256(readKept(file)) !== hash)).toEqual([]);
  const bodies = new Set(ofKind('frame').map(bytes => decodeFrame(bytes).body.type));
  expect(bodies.size).toBe(6);
});

test.each(INDEX.map(one => [one.file, one] as const))(
  '[SKW1] what a build wrote is read as it was meant, and written as it was: %s',
  (file, {kind, facts}) => {
    const bytes = readKept(file);
    const reading = READERS[kind]!(bytes);
    expect(reading.facts).toEqual(facts);
    if (!isWrittenOtherwise(kind, bytes)) expect(toHex(reading.again)).toBe(toHex(bytes));
  },
);

test('[SKW2] a frame of a newer protocol is read or refused by its least reader, and by nothing else', () => {
  const versions = (bytes: Uint8Array, sender: number, least: number) =>
    new Uint8Array([sender, least, ...bytes.slice(2)]);
  for (const bytes of ofKind('frame')) {
    const frame = decodeFrame(bytes);
    for (const sender of [PROTOCOL, PROTOCOL + 1, 255]) {
      expect(decodeFrame(versions(bytes, sender, PROTOCOL))).toEqual(frame);
      expect(decodeFrame(versions(bytes, sender, OLDEST_PROTOCOL))).toEqual(frame);
      expect(decodedOr(() => decodeFrame(versions(bytes, sender, PROTOCOL + 1)))).toBe(undefined);
    }
    expect(decodedOr(() => decodeFrame(versions(bytes, OLDEST_PROTOCOL - 1, OLDEST_PROTOCOL - 1)))).toBe(undefined);
  }
});

test('[SKW3] entries with fields that a build does not know pass through it byte for byte', () => {
  // One history, as the last build that wrote it did.
  const byDot = new Map(ofKind('entry').map(bytes => [nameOf(decodeEntryHead(bytes)), bytes] as const));
  const entries = [...byDot.values()];
  const unknown = entries.filter(bytes => decodeEntry(OLD_SHAPE, bytes).document.opaque.size > 0);
  expect(unknown.length).toBeGreaterThan(5);
  const frame = {...EMPTY_FRAME, replica: decodeEntryHead(entries[0]!).replica, from: 'enam', entries};
  // The replica is under another id than those in the corpus, or it would take itself for an old copy.
  const before = openedWith(OLD_SHAPE, []);
  const {replica, effects, answer} = step(
    {...before, held: {...before.held!, id: '00000000000000dd' as typeof frame.replica}},
    {type: 'asked', request: {type: 'frame', frame}, bytes: 1_000},
    aroundOf([]),
  );
  expect(answer?.type).toBe('applied');
  const stored = effects.flatMap(effect => (effect.type === 'append' ? effect.entries : []));
  expect(stored.map(toHex)).toEqual(entries.map(toHex));
  const rows = stored.map((entry, at) => ({entry, seq: at + 1}));
  const send = {type: 'send', to: 'enam', cover: EMPTY_VECTOR, relay: true, pull: false, unreached: []} as const;
  const sent = frameFor(new Turn(replica, aroundOf(rows)), send)!.frame;
  expect(sent.entries.map(toHex)).toEqual(entries.map(toHex));
});
