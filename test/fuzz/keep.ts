// Adds what this build writes to test/corpus: node test/fuzz/keep.ts <name of the build>, and `npm run format`. Once, before a
// build goes out whose encodings differ from those of the last one. What is there is never written again.
import {existsSync, mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import fc from 'fast-check';
import {Writer} from '../../crdt/bytes.ts';
import {encodeVector} from '../../crdt/codec.ts';
import {amountsOf} from '../../crdt/undo.ts';
import {encodeEntry} from '../../mesh/entry.ts';
import {encodeFrame, type Frame} from '../../mesh/frame.ts';
import {encodeMarks} from '../../mesh/keys.ts';
import {encodeAnswer, encodeRequest} from '../../mesh/message.ts';
import {versionToken} from '../../mesh/version-token.ts';
import {play, scriptOf} from '../support/crdt-scripts.ts';
import {
  AMOUNTS,
  CHANGES,
  DIGESTS,
  DOCUMENTS,
  EVERY_SHAPE,
  EVERY_SUBJECT,
  RANGES,
  STATES,
} from '../support/fuzz-corpus.ts';
import {ANSWERS, FRAMES, MARKS, REQUESTS} from '../support/fuzz-targets.ts';
import {type Kept, readIndex, READERS, sha256, SKEW_CORPUS} from '../support/skew-corpus.ts';

const [build] = process.argv.slice(2);
if (!build || !/^[\w-]+$/.test(build)) {
  console.error('usage: node test/fuzz/keep.ts <name of the build>');
  process.exit(2);
}

function written(write: (writer: Writer) => void): Uint8Array {
  const writer = new Writer();
  write(writer);
  return writer.finish();
}

/** So many of them, from all over the list. */
const some = <T>(items: readonly T[], count: number): readonly T[] =>
  Array.from({length: Math.min(count, items.length)}, (_, at) => items[Math.floor((at * items.length) / count)]!);

/** One history of every type, in the order in which it happened. */
const script = fc.sample(scriptOf(EVERY_SUBJECT, 20), {seed: 7, numRuns: 12}).flat();
const entries = play(EVERY_SUBJECT, script).events.flatMap((event, at) => {
  if (!event) return [];
  const amounts = amountsOf(EVERY_SHAPE, event.before, event.delta);
  const mark = {mark: {key: `key ${at}`, fingerprint: new Uint8Array(8).fill(at)}, ...(amounts && {amounts})};
  const command = ['patch', 'reserve', '$join'][at % 3]!;
  return [encodeEntry(EVERY_SHAPE, {...event.head, command, ...(at % 3 === 0 && mark)}, event.delta)];
});

/** One of each body with and without a pull. */
const frames = new Map<string, Frame>();
for (const frame of FRAMES) frames.set(`${frame.body.type} ${frame.pull !== undefined}`, frame);
const byType = <T extends {readonly type: string}>(all: readonly T[]): readonly T[] => [
  ...new Map(all.map(one => [one.type, one])).values(),
];

const made: Readonly<Record<string, readonly Uint8Array[]>> = {
  entry: entries,
  state: some(STATES, 12),
  changes: some(CHANGES, 6),
  frame: [...frames.values()].map(encodeFrame),
  request: [...byType(REQUESTS), ...some(REQUESTS, 3)].map(encodeRequest),
  answer: byType(ANSWERS).map(encodeAnswer),
  marks: [written(writer => encodeMarks(writer, MARKS))],
  digests: some(DIGESTS, 4),
  ranges: some(RANGES, 4),
  amounts: some(AMOUNTS, 4),
  vector: some(DOCUMENTS, 2).map(({vector}) => written(writer => encodeVector(writer, vector))),
  token: some(DOCUMENTS, 2).map(({vector}) => new TextEncoder().encode(versionToken(vector))),
};

mkdirSync(SKEW_CORPUS, {recursive: true});
const index: Kept[] = existsSync(join(SKEW_CORPUS, 'index.json')) ? [...readIndex()] : [];
const known = new Set(index.map(({sha256: hash}) => hash));
for (const [kind, all] of Object.entries(made))
  for (const [at, bytes] of all.entries()) {
    const hash = sha256(bytes);
    if (known.has(hash)) continue;
    known.add(hash);
    const file = `${build}-${kind}-${String(at).padStart(2, '0')}.bin`;
    writeFileSync(join(SKEW_CORPUS, file), bytes, {flag: 'wx'});
    index.push({file, kind, sha256: hash, facts: READERS[kind]!(bytes).facts});
  }
writeFileSync(join(SKEW_CORPUS, 'index.json'), `${JSON.stringify(index, undefined, 2)}\n`);
