import fc from 'fast-check';
import {expect, test} from 'vitest';
import * as awSet from '../../crdt/aw-set.ts';
import {Reader, toHex, Writer} from '../../crdt/bytes.ts';
import {
  type AnyCrdtType,
  type Document,
  documentOf,
  EMPTY_DOCUMENT,
  encodeChanges,
  encodePart,
  encodeState,
  fieldState,
  join,
  type Shape,
} from '../../crdt/document.ts';
import {Draft} from '../../crdt/draft.ts';
import {
  canPatch,
  coalesce,
  decodeDigests,
  decodeRanges,
  differing,
  type Digests,
  digestsOf,
  encodeDigests,
  encodeRanges,
  joinRanges,
  RANGES_MAX,
  rangeSplits,
  type Splits,
} from '../../crdt/patch.ts';
import * as registers from '../../crdt/registers.ts';
import {coversVector, EMPTY_VECTOR, meetVectors} from '../../crdt/version-vector.ts';
import {joinAll, only, play, type Run, scriptOf, shapeOf, type Subjects} from '../support/crdt-scripts.ts';
import {deepFreeze} from '../support/deep-freeze.ts';
import {ALL_SUBJECTS, type AnySubject, MORE_SUBJECTS, REPLICAS} from '../support/subjects.ts';
import {isTotal} from '../support/totality.ts';

const [ONE, OTHER, THIRD] = REPLICAS;
const CASES: readonly (readonly [string, Subjects])[] = [
  ['everything', ALL_SUBJECTS],
  ...[...ALL_SUBJECTS, ...MORE_SUBJECTS].map(([name, subject]: [string, AnySubject]) => [name, only(subject)] as const),
];
const bytesOf = (shape: Shape, document: Document) => toHex(encodeState(shape, document));
const written = (shape: Shape, digests: Digests): Uint8Array => {
  const writer = new Writer();
  encodeDigests(writer, shape, digests);
  return writer.finish();
};

/** One replica's digests, and what another one sends back, both over the wire. */
function exchanged(shape: Shape, mine: Document, theirs: Document, splits: Splits = rangeSplits(shape, mine)) {
  const asked = written(shape, digestsOf(shape, mine, splits));
  const ranges = differing(shape, theirs, decodeDigests(new Reader(asked), shape));
  const told = encodeRanges(shape, theirs, ranges);
  return {asked, told, ranges, received: deepFreeze(decodeRanges(new Reader(told), shape))};
}

const FEW_SPLITS: Splits = new Map(
  ['field', ...ALL_SUBJECTS.keys()].map(name => [name, ['a', 'a0', 'b1', 'k', 'z']] as const),
);

test.each(CASES)('[PAT1] the ranges that differ do what the whole document would: %s', (_, subjects) => {
  const shape = shapeOf(subjects);
  const property = fc.property(scriptOf(subjects, 10), fc.boolean(), (script, isSplitAnyhow) => {
    const {documents} = play(subjects, script);
    for (const mine of [...documents, EMPTY_DOCUMENT])
      for (const theirs of [...documents, EMPTY_DOCUMENT]) {
        const {received} = exchanged(shape, mine, theirs, isSplitAnyhow ? FEW_SPLITS : undefined);
        const patched = deepFreeze(joinRanges(shape, mine, received)!);
        expect(bytesOf(shape, patched)).toBe(bytesOf(shape, join(shape, mine, theirs)));
        if (coversVector(mine.vector, theirs.vector)) expect(patched).toBe(mine);
        for (const [name, state] of mine.fields)
          if (!received.ranges.spans.has(name)) expect(patched.fields.get(name)).toBe(state);
      }
  });
  fc.assert(property, {numRuns: 100});
});

test('[PAT2] a field has ranges that differ exactly when it differs', () => {
  const property = fc.property(scriptOf(ALL_SUBJECTS, 10), script => {
    const {shape, documents} = play(ALL_SUBJECTS, script);
    for (const mine of documents)
      for (const theirs of documents) {
        const {ranges} = exchanged(shape, mine, theirs);
        for (const [name, type] of shape) {
          const [ours, others] = [mine, theirs].map(held =>
            toHex(encodePart(type, fieldState<unknown>(held, name, type))),
          );
          expect(ranges.spans.has(name)).toBe(ours !== others);
        }
      }
  });
  fc.assert(property, {numRuns: 100});
});

/** What all of them hold, and what each has written since, alone. */
function apart(run: Run): [base: Document, ...ends: Document[]] {
  const base = joinAll(run.shape, run.documents);
  const ends = REPLICAS.map((replica, at) => {
    const head = {replica, counter: (base.vector.get(replica) ?? 0) + 1, time: {ms: 5, logical: at}};
    const draft = new Draft(run.shape, base, head);
    draft.write('tags', awSet.add(draft.state('tags'), draft, `${at}`));
    draft.write('tags', awSet.remove(draft.state('tags'), 'a'));
    return join(run.shape, base, documentOf(draft.finish()!));
  });
  return [base, ...ends];
}

test('[PAT3] whoever has learnt since of what the other one knew is not patched, whoever wrote or heard other things is', () => {
  const property = fc.property(scriptOf(ALL_SUBJECTS, 8), script => {
    const run = play(ALL_SUBJECTS, script);
    const {shape} = run;
    const [, one, other, third] = apart(run) as [Document, Document, Document, Document];
    const theirs = join(shape, other, third);
    const {received} = exchanged(shape, one, theirs);
    expect(joinRanges(shape, join(shape, one, third), received)).toBe(undefined);
    const alone = exchanged(shape, one, other).received;
    const grown = join(shape, one, third);
    expect(bytesOf(shape, joinRanges(shape, grown, alone)!)).toBe(bytesOf(shape, join(shape, grown, other)));
    // What the digests were made of can still be patched, and joined to whatever came meanwhile.
    const late = join(shape, grown, joinRanges(shape, one, received)!);
    expect(bytesOf(shape, late)).toBe(bytesOf(shape, join(shape, grown, theirs)));
  });
  fc.assert(property, {numRuns: 60});
});

test('[PAT3] or else a removal outside of the ranges would be lost', () => {
  const shape: Shape = new Map([['tags', awSet.awSet as AnyCrdtType]]);
  const step = (base: Document, counter: number, change: (draft: Draft) => void): Document => {
    const draft = new Draft(shape, base, {replica: THIRD, counter, time: {ms: counter, logical: 0}});
    change(draft);
    return join(shape, base, documentOf(draft.finish()!));
  };
  const added = step(EMPTY_DOCUMENT, 1, draft => draft.write('tags', awSet.add(draft.state('tags'), draft, 'x')));
  const removed = step(added, 2, draft => draft.write('tags', awSet.remove(draft.state('tags'), 'x')));
  const {received} = exchanged(shape, EMPTY_DOCUMENT, removed); // Neither holds anything: no range differs.
  expect(received.ranges.spans.size).toBe(0);
  expect(joinRanges(shape, EMPTY_DOCUMENT, received)!.vector.get(THIRD)).toBe(2);
  expect(joinRanges(shape, added, received)).toBe(undefined);
});

test.each(CASES)('[PAT4] deltas coalesced do what they do one by one: %s', (_, subjects) => {
  const shape = shapeOf(subjects);
  const property = fc.property(scriptOf(subjects, 10), script => {
    const {documents, events} = play(subjects, script);
    for (const mine of [...documents, EMPTY_DOCUMENT])
      for (const theirs of documents) {
        const since = meetVectors(mine.vector, theirs.vector);
        const lacking = events.flatMap(event =>
          event && coversVector(theirs.vector, event.received.vector) && !coversVector(since, event.received.vector)
            ? [event.received.fields]
            : [],
        );
        const delta = coalesce(shape, theirs, lacking, since);
        expect(bytesOf(shape, join(shape, mine, delta))).toBe(bytesOf(shape, join(shape, mine, theirs)));
        expect([...delta.fields.keys()]).toEqual([...delta.fields.keys()].sort());
      }
  });
  fc.assert(property, {numRuns: 100});
});

test('[PAT4] a place that was written to a hundred times is told once', () => {
  const shape: Shape = new Map([['name', registers.lwwRegister as AnyCrdtType]]);
  let document = EMPTY_DOCUMENT;
  const deltas = Array.from({length: 100}, (_, at) => {
    const draft = new Draft(shape, document, {replica: ONE, counter: at + 1, time: {ms: at, logical: 0}});
    draft.write('name', registers.set(draft.state('name'), draft, at));
    const delta = documentOf(draft.finish()!);
    document = join(shape, document, delta);
    return delta.fields;
  });
  const size = encodeChanges(shape, coalesce(shape, document, deltas, EMPTY_VECTOR)).length;
  expect(size).toBe(encodeChanges(shape, coalesce(shape, document, deltas.slice(-1), EMPTY_VECTOR)).length);
});

const wholesale = (keys: number): [Shape, Document] => {
  const shape: Shape = new Map([['tags', awSet.awSet as AnyCrdtType]]);
  const draft = new Draft(shape, EMPTY_DOCUMENT, {replica: ONE, counter: 1, time: {ms: 1, logical: 0}});
  for (let at = 0; at < keys; at++)
    draft.write('tags', awSet.add(draft.state('tags'), draft, `parcel-${String(at).padStart(6, '0')}`));
  return [shape, join(shape, EMPTY_DOCUMENT, documentOf(draft.finish()!))];
};

test('[PAT5] there are about 2√n ranges of n keys, of about the same size', () => {
  for (const keys of [1, 2, 3, 10, 1_000, 2_500]) {
    const [shape, document] = wholesale(keys);
    const splits = rangeSplits(shape, document);
    const ranges = splits.get('tags')!.length + 1;
    expect(ranges).toBe(Math.min(keys, Math.round(2 * Math.sqrt(keys))));
    const sizes = digestsOf(shape, document, splits)
      .fields.get('tags')!
      .digests.map(digest => digest.keys);
    expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    expect(sizes.reduce((a, b) => a + b)).toBe(keys);
  }
});

test('[PAT5] of 1,000 keys of which 3 differ, digests and ranges are a small part of the state', () => {
  const [shape, mine] = wholesale(1_000);
  const draft = new Draft(shape, mine, {replica: OTHER, counter: 1, time: {ms: 2, logical: 0}});
  draft.write('tags', awSet.add(draft.state('tags'), draft, 'parcel-000100'));
  draft.write('tags', awSet.remove(draft.state('tags'), 'parcel-000500'));
  draft.write('tags', awSet.add(draft.state('tags'), draft, 'parcel-000900 bis'));
  const theirs = join(shape, mine, documentOf(draft.finish()!));
  const {asked, told} = exchanged(shape, mine, theirs);
  const state = encodeState(shape, theirs).length;
  expect(asked.length).toBeLessThan(1_000);
  expect(told.length).toBeLessThan(400);
  expect(asked.length + told.length).toBeLessThan(state / 4);
});

const samples = (numRuns: number): [Shape, Run[]] => [
  shapeOf(ALL_SUBJECTS),
  fc.sample(scriptOf(ALL_SUBJECTS, 8), {seed: 11, numRuns}).map(script => play(ALL_SUBJECTS, script)),
];

test('[PAT6] whatever is no encoding of digests is refused', () => {
  const [shape, runs] = samples(20);
  const corpus = runs.flatMap(({documents}) =>
    documents.flatMap(document =>
      [rangeSplits(shape, document), FEW_SPLITS].map(splits => written(shape, digestsOf(shape, document, splits))),
    ),
  );
  isTotal(corpus, bytes => written(shape, decodeDigests(new Reader(bytes), shape)), 4_000);
});

test('[PAT6] whatever is no encoding of ranges is refused, and what was read can be joined', () => {
  const [shape, runs] = samples(20);
  const pairs = runs.flatMap(({documents}) => documents.flatMap(a => documents.map(b => [a, b] as const)));
  const corpus = pairs.flatMap(([a, b]) => [exchanged(shape, a, b).told, exchanged(shape, a, b, FEW_SPLITS).told]);
  const mine = pairs.map(([document]) => document);
  const recode = (bytes: Uint8Array): Uint8Array => {
    const received = decodeRanges(new Reader(bytes), shape);
    const joined = joinRanges(shape, mine[bytes.length % mine.length]!, received);
    if (joined) encodeState(shape, joined);
    return encodeRanges(shape, received, received.ranges);
  };
  isTotal(corpus, recode, 6_000);
});

test('[PAT6] digests and ranges have the bytes that they always had', () => {
  const [shape, document] = wholesale(5);
  const {asked, told} = exchanged(shape, EMPTY_DOCUMENT, document);
  const digests = written(shape, digestsOf(shape, document, rangeSplits(shape, document)));
  expect([asked, told, digests].map(toHex)).toEqual([
    '0000',
    '0401a0a0a0a0a0a0a0a00101010000010474616773010104746167730620050d70617263656c2d303030303030c131c132c133c134000101010201030104',
    '01a0a0a0a0a0a0a0a00101047461677306030d70617263656c2d303030303031c132c133014550bbbbca6c4700015bc075d94c3469f401ce3b6c032fde954d023298198227c52623',
  ]);
});

test('[PAT6] fields of another shape are refused, and too many ranges', () => {
  const [shape, document] = wholesale(10);
  const others: Shape = new Map([['tags', registers.lwwRegister as AnyCrdtType]]);
  const asked = written(shape, digestsOf(shape, document, rangeSplits(shape, document)));
  const {told} = exchanged(shape, EMPTY_DOCUMENT, document);
  for (const other of [others, new Map() as Shape]) {
    expect(() => decodeDigests(new Reader(asked), other)).toThrow(expect.objectContaining({name: 'DecodeError'}));
    expect(() => decodeRanges(new Reader(told), other)).toThrow(expect.objectContaining({name: 'DecodeError'}));
  }
  const split = (ranges: number): Uint8Array => {
    const splits = Array.from({length: ranges - 1}, (_, at) => String(at).padStart(6, '0'));
    return written(shape, digestsOf(shape, document, new Map([['tags', splits]])));
  };
  expect(decodeDigests(new Reader(split(RANGES_MAX)), shape).fields.get('tags')!.digests).toHaveLength(RANGES_MAX);
  expect(() => decodeDigests(new Reader(split(RANGES_MAX + 1)), shape)).toThrow('too many ranges');
});

test('[PAT7] a document with fields that this build does not know is not patched', () => {
  const [shape, document] = wholesale(10);
  const opaque: Document = {...document, opaque: new Map([['new#6', [Uint8Array.of(1)]]])};
  expect([canPatch(document), canPatch(opaque)]).toEqual([true, false]);
  const digests = digestsOf(shape, document, new Map());
  const {received} = exchanged(shape, EMPTY_DOCUMENT, document);
  for (const refused of [
    () => digestsOf(shape, opaque, new Map()),
    () => differing(shape, opaque, digests),
    () => encodeRanges(shape, opaque, received.ranges),
    () => coalesce(shape, opaque, [], EMPTY_VECTOR),
  ])
    expect(refused).toThrow('unknown fields');
  expect(joinRanges(shape, opaque, received)).toBe(undefined);
});
