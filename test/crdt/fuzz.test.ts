// Every decoder against what nobody wrote: spoiled encodings by the hundred thousand, and inputs made to hurt. The long run is
// `npm run fuzz`; see docs/testing.md.
import {randomInt} from 'node:crypto';
import {expect, test} from 'vitest';
import {DecodeError, Reader, toHex, Writer} from '../../crdt/bytes.ts';
import {encodeVector} from '../../crdt/codec.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import {allocatedBy, allocatedMax} from '../support/fuzz-budget.ts';
import {readCorpus} from '../support/fuzz-files.ts';
import {hostileInputs} from '../support/fuzz-hostile.ts';
import {fuzz, outcomeOf, type Watcher} from '../support/fuzz-loop.ts';
import {createTargets, Finding, type Target} from '../support/fuzz-targets.ts';

const INPUTS = 200_000;
const targets = createTargets();
const each = Math.ceil(INPUTS / targets.length);

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

test.each(hostileInputs().map(hostile => [hostile.target, hostile.name, hostile.input] as const))(
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
      const ids = new Array<string>(reader.varint());
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
      let last = '';
      for (let left = reader.count(9); left > 0; left--) {
        const id = toHex(reader.raw(8)) as ReplicaId;
        if (id <= last) throw new DecodeError('out of order');
        vector.set((last = id) as ReplicaId, Math.min(short(), 2 ** 50));
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
