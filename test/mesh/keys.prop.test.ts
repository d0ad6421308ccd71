import fc from 'fast-check';
import {expect, test} from 'vitest';
import {Reader, Writer} from '../../crdt/bytes.ts';
import type {Dot} from '../../crdt/dot.ts';
import {decodeEntryHead, FINGERPRINT_BYTES, isSystemEvent, JOIN} from '../../mesh/entry.ts';
import {
  decodeMarks,
  encodeMarks,
  type Keyed,
  type Keys,
  type Mark,
  marksOf,
  NO_KEYS,
  pruned,
  sameFingerprint,
  undoKey,
  withMark,
} from '../../mesh/keys.ts';
import {inventoryItem} from '../../schema/entities/inventory-item.ts';
import type {EntityType} from '../../schema/entity-type.ts';
import {Simulator} from '../simulation/simulator.ts';
import {damaged, decodedOr, IDS, mark, replicaId} from '../support/mesh-arbitraries.ts';

const nameOf = ({replica, counter}: Dot): string => `${replica}:${counter}`;
const fingerprint = new Uint8Array(FINGERPRINT_BYTES);

/** Events under few keys, at few times, so that they meet. Each dot carries one key. */
const marks = fc
  .uniqueArray(
    fc.record({
      key: fc.constantFrom('a', 'b'),
      replica: fc.constantFrom(...IDS),
      counter: fc.integer({min: 1, max: 4}),
      ms: fc.integer({min: 1, max: 3}),
      logical: fc.integer({min: 0, max: 1}),
    }),
    {selector: nameOf, maxLength: 8},
  )
  .map(all =>
    all.map(({key, replica, counter, ms, logical}): Mark => ({
      key,
      fingerprint,
      dot: {replica, counter},
      time: {ms, logical},
    })),
  );

const shuffled = <T>(items: readonly T[]) => fc.shuffledSubarray([...items], {minLength: items.length});
const orders = marks.chain(all => fc.tuple(fc.constant(all), shuffled(all), shuffled([...all, ...all])));

function taken(all: readonly Mark[], from: Keys = NO_KEYS): {keys: Keys; voided: Dot[]} {
  const voided: Dot[] = [];
  let keys = from;
  for (const one of all) {
    const next = withMark(keys, one);
    if (next.voided) voided.push(next.voided);
    keys = next.keys;
  }
  return {keys, voided};
}

/** Which event counts, and which do not, without the times: what all replicas must agree on. */
const verdicts = (keys: Keys) =>
  Object.fromEntries(
    [...keys].map(([key, {mark: counts, voids}]) => [key, [nameOf(counts.dot), voids.map(nameOf).sort()]]),
  );

/** The same, by looking at all of them at once. */
function model(all: readonly Mark[]) {
  const byKey = new Map<string, Mark[]>();
  for (const one of all) byKey.set(one.key, [...(byKey.get(one.key) ?? []), one]);
  const rank = ({time, dot}: Mark) => [time.ms, time.logical, dot.replica, dot.counter].join(' ');
  return Object.fromEntries(
    [...byKey].map(([key, some]) => {
      const [first, ...others] = some.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1));
      return [key, [nameOf(first!.dot), others.map(({dot}) => nameOf(dot)).sort()]];
    }),
  );
}

test('[IDK1] every order of arrival names the same event, the earliest, and the same void ones', () => {
  const property = fc.property(orders, ([all, order]) => {
    expect(verdicts(taken(order).keys)).toEqual(model(all));
  });
  fc.assert(property, {numRuns: 2000});
});

test('[IDK2] an event that comes twice changes nothing, and each void one is reported once', () => {
  const property = fc.property(orders, ([all, , twice]) => {
    const {keys, voided} = taken(twice);
    expect(verdicts(keys)).toEqual(model(all));
    expect(voided.map(nameOf).sort()).toEqual([...keys.values()].flatMap(({voids}) => voids.map(nameOf)).sort());
    for (const one of all) expect(withMark(keys, one)).toEqual({keys, voided: undefined});
    for (const one of all) expect(withMark(keys, one).keys).toBe(keys);
  });
  fc.assert(property, {numRuns: 1000});
});

test('[IDK3] what is void stays void: events that come later add to that', () => {
  const property = fc.property(orders, ([, order]) => {
    let keys = NO_KEYS;
    for (const one of order) {
      const {keys: next} = withMark(keys, one);
      for (const [key, {voids}] of keys)
        expect(next.get(key)!.voids.map(nameOf)).toEqual(expect.arrayContaining(voids.map(nameOf)));
      keys = next;
    }
  });
  fc.assert(property, {numRuns: 500});
});

const many = (count: number): Keys =>
  taken(
    Array.from({length: count}, (_, at) => ({
      key: `key ${at}`,
      fingerprint,
      dot: {replica: IDS[0], counter: at + 1},
      time: {ms: at, logical: 0},
    })),
  ).keys;

test('[IDK4] the newest keys are kept, in their order, and pruned once they are a quarter too many', () => {
  expect(pruned(many(50), 40)).toHaveProperty('size', 50);
  const kept = pruned(many(51), 40);
  expect([...kept.keys()]).toEqual(Array.from({length: 40}, (_, at) => `key ${at + 11}`));
  const all: [string, Keyed][] = [...many(51)];
  expect([...kept]).toEqual(all.slice(11));
  // A key that is voided again stays where it came first.
  const late = {...all[0]![1].mark, dot: {replica: IDS[1], counter: 1}, time: {ms: 99, logical: 0}};
  expect([...withMark(many(51), late).keys.keys()][0]).toBe('key 0');
});

const overTheWire = (all: readonly Mark[]): readonly Mark[] => {
  const writer = new Writer();
  encodeMarks(writer, all);
  const reader = new Reader(writer.finish());
  const read = decodeMarks(reader);
  reader.end();
  return read;
};

test('[IDK5] marks come back as they were; whatever is none is refused', () => {
  const written = fc.array(mark, {maxLength: 5});
  fc.assert(
    fc.property(written, all => {
      expect(overTheWire(all)).toEqual(all);
    }),
    {numRuns: 500},
  );
  const encoded = written.map(all => {
    const writer = new Writer();
    encodeMarks(writer, all);
    return writer.finish();
  });
  const property = fc.property(damaged(encoded), bytes => {
    const read = decodedOr(() => decodeMarks(new Reader(bytes)));
    for (const {dot, fingerprint: of} of read ?? []) {
      expect(dot.counter).toBeGreaterThan(0);
      expect(of.length).toBe(FINGERPRINT_BYTES);
    }
  });
  fc.assert(property, {numRuns: 2000});
});

test('[IDK6] told to another replica with a state, keys name the same events there, whatever it had', () => {
  const scene = marks.chain(all => {
    const some = fc.subarray([...all]).chain(shuffled);
    return fc.tuple(fc.constant(all), some, some, some);
  });
  const property = fc.property(scene, ([, here, there, third]) => {
    // The sender leaves out what the receiver covers, and knows no times of void events.
    const tell = (from: readonly Mark[], to: Keys, toHas: readonly Mark[]): Keys => {
      const has = new Set(toHas.map(({dot}) => nameOf(dot)));
      return taken(overTheWire(marksOf(taken(from).keys, dot => !has.has(nameOf(dot)))), to).keys;
    };
    const both = [...here, ...there.filter(one => !here.includes(one))];
    const told = tell(here, taken(there).keys, there);
    expect(verdicts(told)).toEqual(model(both));
    // And from there on to one that has heard of neither.
    const next = taken(overTheWire(marksOf(told, () => true)), taken(third).keys).keys;
    expect(verdicts(next)).toEqual(model([...both, ...third.filter(one => !both.includes(one))]));
  });
  fc.assert(property, {numRuns: 2000});
});

test('[IDK7] a void event is taken back under a key of its own, which no command has', () => {
  const property = fc.property(replicaId, replicaId, fc.nat(), fc.nat(), (a, b, m, n) => {
    const [one, other] = [undoKey({replica: a, counter: m}), undoKey({replica: b, counter: n})];
    expect(one === other).toBe(a === b && m === n);
    expect(one.startsWith('\u0000')).toBe(true);
  });
  fc.assert(property);
  expect(isSystemEvent('$undo')).toBe(true);
  const marked = (byte: number) => ({key: 'k', fingerprint: new Uint8Array(FINGERPRINT_BYTES).fill(byte)});
  expect(sameFingerprint(marked(1), marked(1))).toBe(true);
  expect(sameFingerprint(marked(1), marked(2))).toBe(false);
});

test('[IDK8] an event that carries a key says by how much it raised counters, and no other event does', () => {
  const sim = new Simulator({seed: 9, regions: 2, type: inventoryItem as EntityType});
  const [west] = sim.regions as [string, string];
  sim.command(west, 'receive', {quantity: 8});
  sim.rest();
  const {store} = sim.host(west);
  const heads = store.before(store.end + 1, 10).map(({entry}) => decodeEntryHead(entry));
  expect(heads.map(({command, mark, amounts}) => [command, Boolean(mark), Boolean(amounts)])).toEqual([
    ['receive', true, true],
    [JOIN, false, false],
  ]);
});
