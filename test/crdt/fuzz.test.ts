// Every decoder against what nobody wrote: spoiled encodings by the hundred thousand, and inputs made to hurt. The long run is
// `npm run fuzz`; see docs/testing.md.
import {randomInt} from 'node:crypto';
import {expect, test} from 'vitest';
import {DecodeError, fromHex, Reader, toHex, Writer} from '../../crdt/bytes.ts';
import {survivors, wholeOf} from '../../crdt/causal-context.ts';
import {encodeVector} from '../../crdt/codec.ts';
import {decodeDelta, type Document, OPAQUE_BYTES_MAX} from '../../crdt/document.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import {allocatedBy, allocatedMax} from '../support/fuzz-budget.ts';
import {readCorpus} from '../support/fuzz-files.ts';
import {deltaOfUnknown, hostileInputs} from '../support/fuzz-hostile.ts';
import {fuzz, outcomeOf, type Watcher} from '../support/fuzz-loop.ts';
import {createTargets, Finding, type Target} from '../support/fuzz-targets.ts';
import {REPLICAS} from '../support/subjects.ts';

const INPUTS = 200_000;
const targets = createTargets();
const each = Math.ceil(INPUTS / targets.length);
const hostile = hostileInputs();
const [EU, US] = REPLICAS;
const HEAD = {replica: EU, counter: 1, time: {ms: 1, logical: 0}};

const failing =
  (target: Target, seed: number): Watcher['fails'] =>
  (input, error) => {
    throw new Error(`${target.name}, seed ${seed}: ${toHex(input)}: ${String(error)}`, {cause: error});
  };

test.each(targets.map(target => [target.name, target] as const))(
  '[FUZ1] what is spoiled is refused, or is an encoding of what was read: %s',
  (_, target) => {
    const seed = randomInt(2 ** 32);
    const {inputs, refused} = fuzz(target, each, seed, {fails: failing(target, seed)});
    expect(inputs).toBe(each);
    // Spoiled too much or too little, the inputs would say nothing.
    expect(refused).toBeGreaterThan(inputs / 5);
    expect(refused).toBeLessThan(inputs * 0.97);
  },
);

const find = (name: string): Target => targets.find(target => target.name === name)!;

test('[FUZ2] the corpus is read as it should be, with every input that was ever got wrong', () => {
  const corpus = readCorpus();
  expect([...corpus.keys()].filter(name => !targets.some(target => target.name === name))).toEqual([]);
  expect([...corpus.values()].flat().length).toBeGreaterThan(200);
  for (const [name, inputs] of corpus)
    for (const input of inputs)
      expect(outcomeOf(find(name), input), `${name} ${toHex(input)}`).toMatch(/refused|accepted/);
});

test.each(hostile.map(({target, name, input}) => [target, name, input] as const))(
  '[FUZ3] memory stays within the budget: %s, %s',
  (name, _, input) => {
    const target = find(name);
    let outcome: unknown;
    const allocated = allocatedBy(() => {
      outcome = outcomeOf(target, input);
    });
    expect(outcome).toMatch(/refused|accepted/);
    expect(allocated).toBeLessThanOrEqual(allocatedMax(input.length));
  },
  20_000, // Each took seconds or minutes once, or would if its count were believed.
);

/** Decoders of vectors with mistakes in them. */
const PLANTED: ReadonlyMap<string, (reader: Reader, vector: Map<ReplicaId, number>) => void> = new Map([
  [
    'a count that is believed',
    (reader, vector) => {
      const ids: string[] = [];
      ids.length = reader.varint();
      for (let at = 0; at < ids.length; at++) vector.set(toHex(reader.raw(8)) as ReplicaId, reader.varint());
    },
  ],
  [
    'ids in any order',
    (reader, vector) => {
      for (let left = reader.count(9); left > 0; left--) vector.set(toHex(reader.raw(8)) as ReplicaId, reader.varint());
    },
  ],
  [
    'a number that may be longer than it need be',
    (reader, vector) => {
      const short = () => {
        let value = 0;
        for (let byte = 0x80, scale = 1; byte >= 0x80; scale *= 0x80) value += ((byte = reader.byte()) & 0x7f) * scale;
        return value;
      };
      let last = '' as ReplicaId;
      for (let left = reader.count(9); left > 0; left--) {
        const id = toHex(reader.raw(8)) as ReplicaId;
        if (id <= last) throw new DecodeError('out of order');
        vector.set((last = id), Math.min(short(), 2 ** 50));
      }
    },
  ],
  [
    'an end that nobody looks for',
    (reader, vector) => {
      for (let left = reader.varint(); left > 0 && reader.remaining > 8; left--)
        vector.set(toHex(reader.raw(8)) as ReplicaId, reader.byte());
    },
  ],
]);

test.each([...PLANTED])('[FUZ4] a planted bug is found: %s', (name, decode) => {
  const read: Target['read'] = input => {
    const vector = new Map<ReplicaId, number>();
    decode(new Reader(input), vector);
    return () => {
      const writer = new Writer();
      encodeVector(writer, vector);
      if (toHex(writer.finish()) !== toHex(input)) throw new Finding('comes back as something else');
    };
  };
  let found = 0;
  fuzz({...find('vector'), name, read}, 5_000, 1, {fails: () => void found++});
  expect(found).toBeGreaterThan(0);
});

/** What once went wrong, by the rule that it broke. */
const refuses = (name: string): (() => void) => {
  const {target, input} = hostile.find(one => one.name === name)!;
  return () => void find(target).read(input);
};

test('[COD8] a tag of an event that its encoding does not cover is refused', () => {
  for (const name of [
    'a delta with a tag of somebody it has not heard',
    'a state with a tag of somebody it has not heard',
  ])
    expect(refuses(name)).toThrow(DecodeError);
  // The same tag in a part, which covers nothing and is kept under the whole.
  const part = Uint8Array.of(1, ...fromHex(US), 1, 1, 0x61, 2, 100);
  expect(outcomeOf(find('part-tags'), part)).toBe('accepted');
});

test('[COD9] unknown fields take OPAQUE_BYTES_MAX together, each with its table, and no more', () => {
  const bytes = (ids: number, fields: number) => deltaOfUnknown(ids, fields);
  const size = (document: Document) => [...document.opaque.values()].flat().reduce((sum, one) => sum + one.length, 0);
  const decode = (input: Uint8Array) => decodeDelta(new Reader(input), new Map(), HEAD);
  const one = size(decode(bytes(1_000, 1)));
  const most = Math.floor(OPAQUE_BYTES_MAX / one);
  expect(size(decode(bytes(1_000, most)))).toBe(most * one);
  expect(() => decode(bytes(1_000, most + 1))).toThrow('unknown fields too large');
  expect(refuses('unknown fields of a stream that each keep a table of thousands')).toThrow('unknown fields too large');
});

test('[STR5] a frame says each thing once and in one form: who was heard, of some events, and its fields', () => {
  expect(refuses('a replica of which nothing was heard')).toThrow(DecodeError);
  expect(refuses('one unknown field of a stream again and again')).toThrow(DecodeError);
});

test('[STR6] a stream whose clock runs beyond what can be written has ended', () => {
  const {target, input} = hostile.find(({name}) => name === 'a time beyond all times')!;
  expect(outcomeOf(find(target), input)).toBe('refused');
});

test('[STR7] a frame that heard as many replicas as a stream may have is read in no time', () => {
  const {target, input} = hostile.find(({name}) => name === 'as many replicas heard as a stream may have')!;
  expect(outcomeOf(find(target), input)).toBe('accepted');
}, 20_000); // Looking through all for each took as long as two thousand million comparisons take.

test('[CC5] two states with 40,000 writes each in one place are joined in no time', () => {
  const seen = (counter: number) => wholeOf(new Map([[EU, counter]]));
  const half = (first: number) =>
    Array.from({length: 40_000}, (_, at) => ({replica: EU, counter: 2 * at + first, index: 0}));
  const [odd, even] = [half(1), half(2)];
  expect(survivors(odd, seen(0), even, seen(0)).length).toBe(80_000);
  expect(survivors(odd, seen(80_000), even, seen(80_000)).length).toBe(0);
}, 5_000); // Two entries with as many tags as fit into them took half a minute to join.
