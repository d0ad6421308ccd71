import {expect, test} from 'vitest';
import {DecodeError, EncodeError, fromHex, Reader, toHex, Writer} from '../../crdt/bytes.ts';
import {
  Decoder,
  decodeReplica,
  decodeVector,
  Encoder,
  encodeReplica,
  encodeVector,
  inOrder,
  KEY_BYTES_MAX,
  readInOrder,
  ReplicaTable,
} from '../../crdt/codec.ts';
import type {ReplicaId, Tag} from '../../crdt/dot.ts';
import type {HybridTime} from '../../crdt/hybrid-clock.ts';
import {compareText} from '../../crdt/dot.ts';
import {REPLICAS} from '../support/subjects.ts';

const [EU, US, AP] = REPLICAS;
const replicaId = (index: number) => index.toString(16).padStart(16, '0') as ReplicaId;
const noTable = () => new ReplicaTable([], []);

function keysAsHex(keys: readonly string[]): string {
  const encoder = new Encoder(noTable());
  encoder.keys(keys);
  return toHex(encoder.finish());
}

function readKeys(bytes: Uint8Array, count: number): string[] {
  const decoder = new Decoder(bytes, noTable());
  const keys = decoder.keys(count);
  decoder.end();
  return keys;
}

/** The same keys one by one, as the names of fields are. */
function readEach(bytes: Uint8Array, count: number): string[] {
  const decoder = new Decoder(bytes, noTable());
  const keys: string[] = [];
  for (let left = count; left > 0; left--) keys.push(decoder.key(keys.at(-1) ?? ''));
  decoder.end();
  return keys;
}

const readKeysOf = (hex: string, count: number) => readKeys(fromHex(hex.replaceAll(' ', '')), count);

test('[KEY1] keys come back, whatever they share, however long they are, and however many there are', () => {
  const lengths = [0, 1, 14, 15, 16, 17, 63, 64, 65, 200];
  const stems = lengths.map(length => 'k'.repeat(length));
  const texts = [
    ...stems.flatMap(stem => [stem, `${stem}a`, `${stem}é`, `${stem}è`, `${stem}éé`, `${stem}\u{1f600}`]),
    ...lengths.map(length => `z${'é'.repeat(length)}`),
    '\0',
    '\x7f',
    '\x80',
    '__proto__',
  ];
  const all = [...new Set(texts)].sort(compareText);
  for (const count of [0, 1, 2, 7, 8, 9, all.length])
    for (let from = 0; from + count <= all.length; from += 3) {
      const keys = all.slice(from, from + count);
      const bytes = fromHex(keysAsHex(keys));
      expect(readKeys(bytes, count)).toEqual(keys);
      expect(readEach(bytes, count)).toEqual(keys);
    }
  const plain = Array.from({length: 50}, (_, index) => `key ${'x'.repeat(index)}`);
  expect(readKeys(fromHex(keysAsHex(plain)), 50)).toEqual(plain);
});

test('[KEY2] a key is written without the bytes that it shares with the one before', () => {
  expect(keysAsHex(['S'])).toBe('0153');
  expect(keysAsHex(['', 'ab', 'abc'])).toBe('00' + '026162' + '2163');
  expect(keysAsHex(['è', 'é'])).toBe('02c3a8' + '11a9'); // Of two bytes each, the first is the same.
  expect(keysAsHex(['aè', 'b'])).toBe('0361c3a8' + '0162');
  expect(keysAsHex(['a', 'aè'])).toBe('0161' + '12c3a8');
  expect(keysAsHex(['a', 'aè', 'aé', 'b'])).toBe('0161' + '12c3a8' + '21a9' + '0162');
  const [k14, k15, k16] = [14, 15, 16].map(length => 'k'.repeat(length)) as [string, string, string];
  expect(keysAsHex([k14])).toBe('0e' + '6b'.repeat(14));
  expect(keysAsHex([k15])).toBe('0f00' + '6b'.repeat(15));
  expect(keysAsHex([k16])).toBe('0f01' + '6b'.repeat(16));
  expect(keysAsHex([k14, k15, k16])).toBe('0e' + '6b'.repeat(14) + 'e16b' + 'f1006b');
  expect(keysAsHex([k16, `${k16}l`])).toBe('0f01' + '6b'.repeat(16) + 'f1016c');
});

test.each([
  ['a key that shares more than there is', '0161 2162', 2],
  ['a first key that shares', '1161', 1],
  ['a key that shares less than it could', '026162 026163', 2],
  ['a key that shares one byte less than it could', '026162 12 6264', 2],
  ['a key twice', '0161 10', 2],
  ['keys out of order', '0162 0161', 2],
  ['a key that is shorter than the one before', '026162 10', 2],
  ['a key that shares more than the one before has', '0161 0162 2163', 3],
  ['a key that ends too early', '0361', 1],
  ['a key that is not UTF-8', '0180', 1],
  ['a key with half a surrogate', '03eda080', 1],
  ['a key that is not UTF-8, among many', '0161 0162 0163 0164 0165 0166 0167 0168 0180', 9],
  ['a first key that is not UTF-8, among many', '0180 0161 0162 0163 0164 0165 0166 0167 0168', 9],
  ['fewer keys than promised', '0161', 2],
])('[KEY3] %s is refused', (what, hex, count) => {
  expect(() => readKeysOf(hex, count)).toThrow(DecodeError);
  // Whoever reads them one by one looks at the order.
  if (!/order|twice|shorter/.test(what))
    expect(() => readEach(fromHex(hex.replaceAll(' ', '')), count)).toThrow(DecodeError);
});

test('[KEY3] a key with a lone surrogate has no encoding', () => {
  expect(() => keysAsHex(['\ud800'])).toThrow(EncodeError);
});

test('[KEY4] keys of KEY_BYTES_MAX bytes in all are written and read, and of one byte more neither', () => {
  const mebibyte = 1024 * 1024;
  // 16 keys: each shares all of the one before, and adds to it, so that little is sent and much would be made.
  const first = mebibyte - 8; // The last of the 16 is 15 bytes longer: 16 × first + (1 + … + 15) = 16 MiB - 8.
  const of = (extra: number) => {
    const keys = Array.from({length: 16}, (_, index) => 'x'.repeat(first + index));
    keys[15] += 'x'.repeat(extra);
    return keys;
  };
  const most = KEY_BYTES_MAX - of(0).reduce((sum, key) => sum + key.length, 0);
  const bytes = (keys: readonly string[]) => {
    const encoder = new Encoder(noTable());
    encoder.keys(keys);
    return encoder.finish();
  };
  const atMost = bytes(of(most));
  expect(readKeys(atMost, 16).at(-1)).toHaveLength(first + 15 + most);
  expect(() => bytes(of(most + 1))).toThrow(EncodeError);
  const last = atMost.length - (1 + most); // The own bytes of the last key, whose length fits in four bits.
  expect(atMost[last - 4]! % 16).toBe(1 + most);
  const above = Uint8Array.of(...atMost.slice(last - 4), 0x78);
  above[0]! += 1;
  const longer = new Uint8Array(last - 4 + above.length);
  longer.set(atMost.subarray(0, last - 4));
  longer.set(above, last - 4);
  for (const read of [readKeys, readEach]) {
    expect(read(atMost, 16)).toHaveLength(16);
    expect(() => read(longer, 16)).toThrow(DecodeError);
  }
});

const tag = (replica: ReplicaId, counter: number, index = 0): Tag => ({replica, counter, index});
const LATEST: HybridTime = {ms: 100, logical: 7};
const seen = () => new ReplicaTable([EU, US], [5, 300]);

function tagsAsHex(tags: readonly Tag[], table = seen()): string {
  const encoder = new Encoder(table, LATEST);
  encoder.tagged(tags);
  return toHex(encoder.finish());
}

function readTags(hex: string, table = seen(), latest: HybridTime | undefined = LATEST): readonly Tag[] {
  const decoder = new Decoder(fromHex(hex.replaceAll(' ', '')), table, latest);
  const tags = decoder.tagged();
  decoder.end();
  return tags;
}

test.each([
  ['no tag', [], '04'],
  ['the newest event of its replica', [tag(EU, 5)], '00'],
  ['a later write in it', [tag(EU, 5, 3)], '01 03'],
  ['an event before', [tag(EU, 3)], '02 02'],
  ['a later write in an event before', [tag(US, 1, 1)], '0b ab02 01'],
  ['two tags', [tag(EU, 5), tag(US, 300)], '14 00 08'],
  ['siblings', [tag(EU, 5, 1), tag(EU, 5, 2)], '14 01 01 01 02'],
] as const)('[TAG1] %s is as short as can be, and comes back', (_, tags, hex) => {
  expect(tagsAsHex(tags)).toBe(hex.replaceAll(' ', ''));
  expect(readTags(hex)).toEqual(tags);
});

test('[TAG1] a tag of a part, which knows of no events, is its counter', () => {
  const table = noTable();
  expect(tagsAsHex([tag(AP, 9), tag(AP, 9, 2)], table)).toBe('14' + '0209' + '030902');
  const decoder = new Decoder(fromHex('14' + '0209' + '030902'), new ReplicaTable([AP], []));
  expect(decoder.tagged()).toEqual([tag(AP, 9), tag(AP, 9, 2)]);
});

test.each([
  ['a kind that is none', '05'],
  ['a kind that is none, of another replica', '0e'],
  ['a kind that is none, with a distance', '05 02'],
  ['a list in a list', '14 04 02 00'],
  ['a list of one', '0c 00'],
  ['a list that is longer than what follows', '1c 00 00'],
  ['a tag twice', '14 00 00'],
  ['tags out of order', '14 08 00'],
  ['an event before the first', '02 05'],
  ['an event long before the first', '02 09'],
  ['none behind, said at length', '02 00'],
  ['none behind, said at length, of a later write', '03 00 01'],
  ['no index, said at length', '01 00'],
  ['no index of an event before, said at length', '03 01 00'],
  ['a replica that is not in the table', '10'],
])('[TAG2] %s is refused', (_, hex) => {
  expect(() => readTags(hex)).toThrow(DecodeError);
});

test('[TAG2] a tag of an event that was not seen is neither written nor read', () => {
  expect(() => tagsAsHex([tag(EU, 6)])).toThrow(EncodeError);
  const added = () => new ReplicaTable([EU, US, AP].slice(0, 2), [5, 300]);
  const table = added();
  table.add(AP);
  expect(() => readTags('12 01', table)).toThrow(DecodeError);
});

const timeAsHex = (time: HybridTime, latest?: HybridTime): string => {
  const encoder = new Encoder(noTable(), latest);
  encoder.time(time);
  return toHex(encoder.finish());
};
const readTime = (hex: string, latest?: HybridTime): HybridTime => {
  const decoder = new Decoder(fromHex(hex.replaceAll(' ', '')), noTable(), latest);
  const time = decoder.time();
  decoder.end();
  return time;
};

test.each([
  ['the latest', {ms: 100, logical: 7}, '00'],
  ['one of the same millisecond', {ms: 100, logical: 0}, '0e'],
  ['an earlier one', {ms: 99, logical: 9}, '03 09'],
  ['the first one', {ms: 0, logical: 0}, 'c901 00'],
] as const)('[TAG3] a stamp is how far it lies behind the latest: %s', (_, time, hex) => {
  expect(timeAsHex(time, LATEST)).toBe(hex.replaceAll(' ', ''));
  expect(readTime(hex, LATEST)).toEqual(time);
  expect(readTime(timeAsHex(time))).toEqual(time); // And in full where nothing is known to be the latest.
});

test('[TAG3] a stamp that is later than the latest is neither written nor read', () => {
  for (const time of [
    {ms: 101, logical: 0},
    {ms: 101, logical: 7},
    {ms: 100, logical: 8},
  ])
    expect(() => timeAsHex(time, LATEST)).toThrow(EncodeError);
  for (const hex of ['10', 'cb01 00', '01 07']) expect(() => readTime(hex, LATEST)).toThrow(DecodeError);
});

test('[COD5] a table finds every replica that it has, however many there are, and no other', () => {
  for (const size of [1, 15, 16, 17, 40]) {
    const ids = Array.from({length: size}, (_, index) => replicaId(index));
    const table = new ReplicaTable(
      ids,
      ids.map((_, index) => index + 1),
    );
    expect(ids.map(id => table.find(id))).toEqual([...ids.keys()]);
    expect(table.find(EU)).toBe(-1);
    expect([table.known, table.ceiling(size - 1), table.ceiling(size)]).toEqual([size, size, undefined]);
    expect([table.add(EU), table.find(EU), table.find(US), table.add(US), table.find(US)]).toEqual([
      size,
      size,
      -1,
      size + 1,
      size + 1,
    ]);
    expect(table.added).toEqual([EU, US]);
    table.raise(size + 1, 9);
    expect([table.ceiling(size), table.ceiling(size + 1), table.known]).toEqual([0, 9, size + 2]);
    table.raise(0, 70);
    expect([table.ceiling(0), table.known]).toEqual([70, size + 2]);
  }
});

test('[COD5] replicas that were added are read in order of first use, those that were known in any', () => {
  const table = () => {
    const made = new ReplicaTable([EU], [1]);
    made.add(US);
    made.add(AP);
    return made;
  };
  const read = (...indices: number[]) => {
    const decoder = new Decoder(new Uint8Array(), table());
    const ids = indices.map(index => decoder.replicaAt(index));
    decoder.endTable();
    return ids;
  };
  expect(read(1, 0, 2, 1, 0, 2)).toEqual([US, EU, AP, US, EU, AP]);
  for (const indices of [[2], [2, 1], [2, 1, 2], [1, 1], [1, 3], [1, 2, 3], [1], [0], []])
    expect(() => read(...indices)).toThrow(DecodeError);
});

test('[COD4] entries are written in order of their keys, whatever the order in which they came', () => {
  const orders = [
    [1, 2, 3],
    [1, 3, 2],
    [2, 1, 3],
    [2, 3, 1],
    [3, 1, 2],
    [3, 2, 1],
  ];
  for (const order of orders) {
    const map = new Map(order.map(index => [`k${index}`, index]));
    expect(inOrder(map)).toEqual([
      ['k1', 1],
      ['k2', 2],
      ['k3', 3],
    ]);
    const left = [...order];
    const read = () =>
      readInOrder(
        3,
        () => `k${left[0]}`,
        () => left.shift(),
      );
    if (order.join() === '1,2,3') expect([...read()]).toEqual(inOrder(map));
    else expect(read).toThrow(DecodeError);
  }
  expect(() =>
    readInOrder(
      2,
      () => 'k',
      () => 1,
    ),
  ).toThrow(DecodeError);
  expect([
    ...readInOrder(
      1,
      () => '',
      () => 1,
    ),
  ]).toEqual([['', 1]]);
});

test('[COD1] ids and vectors come back, also those whose words are alike or begin with zeros', () => {
  const ids = ['0000000000000000', '0000000000000001', '0000000100000000', 'ffffffffffffffff', '80000000ffffffff'];
  const all = [...ids, '0123456789abcdef', '89abcdef01234567', ...REPLICAS] as ReplicaId[];
  for (const id of [...all, ...all]) {
    const writer = new Writer();
    encodeReplica(writer, id);
    expect(toHex(writer.finish())).toBe(id);
    expect(decodeReplica(new Reader(writer.finish()))).toBe(id);
  }
  const vector = new Map(
    all
      .toSorted()
      .map((id, index) => [id, 200 ** index] as const)
      .slice(0, 7),
  );
  const writer = new Writer();
  encodeVector(writer, vector);
  expect([...decodeVector(new Reader(writer.finish()))]).toEqual([...vector]);
  expect(() => decodeVector(new Reader(fromHex(`01${EU}00`)))).toThrow(DecodeError);
  expect(() => decodeVector(new Reader(fromHex(`02${EU}01${EU}01`)))).toThrow(DecodeError);
  expect(() => decodeVector(new Reader(fromHex(`02${US}01${EU}01`)))).toThrow(DecodeError);
});
