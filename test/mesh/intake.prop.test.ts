// What a replica makes of frames that carry states, whole or in part.
import fc from 'fast-check';
import {expect, test} from 'vitest';
import {Reader, toHex, Writer} from '../../crdt/bytes.ts';
import {type Document, EMPTY_DOCUMENT, encodeChanges, encodeState, join, type Shape} from '../../crdt/document.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import {CLOCK_DRIFT_MS_MAX} from '../../crdt/hybrid-clock.ts';
import {
  coalesce,
  decodeDigests,
  differing,
  digestsOf,
  encodeDigests,
  encodeRanges,
  rangeSplits,
} from '../../crdt/patch.ts';
import {coversVector, meetVectors} from '../../crdt/version-vector.ts';
import {type Body, type Frame, schemaHash} from '../../mesh/frame.ts';
import {admitBody} from '../../mesh/intake.ts';
import {encodeMarks} from '../../mesh/keys.ts';
import {nameOf} from '../../mesh/ladder.ts';
import {SYNC_BYTES_BURST} from '../../mesh/load.ts';
import type {Answer} from '../../mesh/message.ts';
import {type Effect, type Replica, step} from '../../mesh/replica.ts';
import {joinAll, play, scriptOf, shapeOf} from '../support/crdt-scripts.ts';
import {deepFreeze} from '../support/deep-freeze.ts';
import {EMPTY_FRAME} from '../support/mesh-arbitraries.ts';
import {aroundOf, openedWith} from '../support/opened-replica.ts';
import {ALL_SUBJECTS} from '../support/subjects.ts';

const SHAPE: Shape = shapeOf(ALL_SUBJECTS);
const SENDER = '00000000000000ee' as ReplicaId;
const frameOf = (body: Body, more: Partial<Frame> = {}): Frame => ({
  ...EMPTY_FRAME,
  from: 'enam',
  replica: SENDER,
  schemaHash: schemaHash(SHAPE),
  body,
  ...more,
});
const bytesOf = (document: Document | undefined): string | undefined => document && toHex(encodeState(SHAPE, document));

const histories = scriptOf(ALL_SUBJECTS, 10).map(script => play(ALL_SUBJECTS, script));

test('[ADM5] a whole state, what changed since, and the ranges that differ all do what joining the state would', () => {
  const property = fc.property(histories, ({documents, events}) => {
    for (const mine of [...documents, EMPTY_DOCUMENT])
      for (const theirs of documents) {
        const joined = bytesOf(join(SHAPE, mine, theirs));
        const admitted = (body: Body) => bytesOf(admitBody(SHAPE, deepFreeze(mine), frameOf(body)));
        expect(admitted({type: 'state', bytes: encodeState(SHAPE, theirs)})).toBe(joined);
        const since = meetVectors(mine.vector, theirs.vector);
        const missed = events.flatMap(event => {
          if (!event || (since.get(event.head.replica) ?? 0) >= event.head.counter) return [];
          return coversVector(theirs.vector, event.received.vector) ? [event.received.fields] : [];
        });
        const changes = encodeChanges(SHAPE, coalesce(SHAPE, theirs, missed, since));
        expect(admitted({type: 'changes', bytes: changes})).toBe(joined);
        const writer = new Writer();
        encodeDigests(writer, SHAPE, digestsOf(SHAPE, mine, rangeSplits(SHAPE, mine)));
        const differ = differing(SHAPE, theirs, decodeDigests(new Reader(writer.finish()), SHAPE));
        expect(admitted({type: 'ranges', bytes: encodeRanges(SHAPE, theirs, differ)})).toBe(joined);
      }
  });
  fc.assert(property, {numRuns: 60});
});

test('[ADM6] what builds on something that is missing here is a gap, and so are ranges that another build has cut', () => {
  let gaps = 0;
  const property = fc.property(histories, ({documents}) => {
    for (const mine of [...documents, EMPTY_DOCUMENT])
      for (const theirs of documents) {
        const since = theirs.vector;
        const changes = encodeChanges(SHAPE, coalesce(SHAPE, theirs, [], since));
        const isCovered = coversVector(mine.vector, since);
        const after = admitBody(SHAPE, mine, frameOf({type: 'changes', bytes: changes}));
        expect(after === undefined).toBe(!isCovered);
        if (!isCovered) gaps++;
        const ranges = encodeRanges(SHAPE, theirs, {spans: new Map(), compared: mine.vector});
        expect(admitBody(SHAPE, mine, frameOf({type: 'ranges', bytes: ranges}, {schemaHash: 1}))).toBe(undefined);
      }
  });
  fc.assert(property, {numRuns: 50});
  expect(gaps).toBeGreaterThan(10);
});

/** A replica that holds nothing, and a disk that keeps chunks. */
class Receiver {
  replica: Replica = openedWith(SHAPE, []);
  chunks: Uint8Array[] = [];
  effects: readonly Effect[] = [];
  nowMs = 1_000;

  take(frame: Frame, bytes = 1_000): Answer {
    const around = aroundOf([]);
    const staged = () => Uint8Array.from(this.chunks.flatMap(chunk => [...chunk]));
    const {replica, effects, answer} = step(
      deepFreeze(this.replica),
      {type: 'asked', request: {type: 'frame', frame}, bytes},
      {...around, nowMs: this.nowMs, log: {...around.log, staged}},
    );
    this.replica = replica;
    this.effects = effects;
    for (const effect of effects) {
      if (effect.type === 'unstage') this.chunks = [];
      if (effect.type === 'stage') this.chunks[effect.index] = effect.bytes;
    }
    return answer!;
  }

  get kept(): readonly string[] {
    return this.effects.map(({type}) => type).filter(type => type === 'append' || type === 'checkpoint');
  }
}

/** A state without idempotency keys, as it is cut into chunks. */
function snapshotOf(state: Uint8Array): Uint8Array {
  const writer = new Writer();
  writer.bytes(state);
  encodeMarks(writer, []);
  return writer.finish();
}

function chunksOf(state: Uint8Array, size: number): readonly (Body & {type: 'chunk'})[] {
  const total = Math.ceil(state.length / size);
  const snapshot = nameOf(state);
  return Array.from({length: total}, (_, index) => ({
    type: 'chunk',
    snapshot,
    index,
    total,
    bytes: state.slice(index * size, (index + 1) * size),
  }));
}

test('[ADM7] a snapshot in chunks is kept until it is whole, whichever come twice, too early, or of another one', () => {
  const deliveries = fc.array(fc.tuple(fc.nat(1), fc.nat(20)), {maxLength: 30});
  let [whole, mixed] = [0, 0];
  const property = fc.property(histories, deliveries, ({documents, events}, delivery) => {
    if (events.every(event => !event)) return;
    const states = [joinAll(SHAPE, documents), documents[0]!].map(document => encodeState(SHAPE, document));
    const snapshots = states.map(snapshotOf).map(bytes => chunksOf(bytes, Math.ceil(bytes.length / 3)));
    const receiver = new Receiver();
    // Anything at first, and then one snapshot as the answers ask for it.
    for (const [which, at] of delivery) {
      const chunks = snapshots[which]!;
      const before = receiver.replica.held!.staged;
      receiver.take(frameOf(chunks[at % chunks.length]!));
      if (before && before.snapshot !== chunks[0]!.snapshot) mixed++;
      const shown = bytesOf(receiver.replica.held!.document);
      // Never a part of it.
      expect([bytesOf(EMPTY_DOCUMENT), ...states.map(toHex)]).toContain(shown);
    }
    let index = 0;
    for (let left = 9; left > 0; left--) {
      const answer = receiver.take(frameOf(snapshots[0]![index]!));
      if (answer.type === 'applied') break;
      // Another one is coming in, as far as is known, until nothing more of it has come for a while.
      if (answer.type === 'later') receiver.nowMs += answer.afterMs;
      else if (answer.type === 'staged') index = answer.chunks;
      else throw new Error(answer.type);
    }
    expect(bytesOf(receiver.replica.held!.document)).toBe(toHex(states[0]!));
    expect(receiver.replica.held!.staged).toBe(undefined);
    expect(receiver.chunks).toEqual([]);
    whole++;
  });
  fc.assert(property, {numRuns: 200});
  expect(whole).toBeGreaterThan(50);
  expect(mixed).toBeGreaterThan(50);
});

test('[ADM7] chunks that were mixed up on the way are noticed by their name, and asked for from the beginning', () => {
  const state = snapshotOf(encodeState(SHAPE, EMPTY_DOCUMENT));
  const [first, last] = chunksOf(state, Math.ceil(state.length / 2));
  const receiver = new Receiver();
  receiver.take(frameOf(first!));
  const spoilt = {...last!, bytes: last!.bytes.map(byte => byte ^ 1)};
  expect(receiver.take(frameOf(spoilt))).toMatchObject({type: 'staged', chunks: 0});
  expect(receiver.replica.held!.staged).toBe(undefined);
});

test('[ADM8] what is stamped further ahead than clocks may drift is put off, and nothing of it is kept', () => {
  const [run] = fc.sample(
    histories.filter(({events}) => events.some(Boolean)),
    {seed: 3, numRuns: 1},
  );
  const document = joinAll(SHAPE, run!.documents);
  const aheadMs = document.latest.ms;
  const body: Body = {type: 'state', bytes: encodeState(SHAPE, document)};
  const receiver = new Receiver();
  receiver.nowMs = aheadMs - CLOCK_DRIFT_MS_MAX - 1;
  expect(receiver.take(frameOf(body)).type).toBe('later');
  expect(receiver.kept).toEqual([]);
  receiver.nowMs = aheadMs - CLOCK_DRIFT_MS_MAX;
  expect(receiver.take(frameOf(body)).type).toBe('applied');
  expect(receiver.kept).toEqual(['checkpoint']);
});

test('[ADM9] more than the budget is put off for as long as that takes, and nothing of it is kept', () => {
  const receiver = new Receiver();
  expect(receiver.take(EMPTY_FRAME, SYNC_BYTES_BURST + 4_096).type).toBe('applied');
  const answer = receiver.take(EMPTY_FRAME, 1);
  expect(answer).toMatchObject({type: 'later', afterMs: 1});
  receiver.nowMs += 1;
  expect(receiver.take(EMPTY_FRAME, 1).type).toBe('applied');
});

test('[ADM10] a state is taken in only by who has all whose keys are not beside it', () => {
  const state = {type: 'state', bytes: encodeState(SHAPE, EMPTY_DOCUMENT)} as const;
  expect(new Receiver().take(frameOf(state, {since: new Map([[SENDER, 1]])})).type).toBe('gap');
  expect(new Receiver().take(frameOf(state)).type).toBe('applied');
});

test('[ADM11] a replica that no catalog lists takes nothing in, unless the entity is to be everywhere', () => {
  const state = frameOf({type: 'state', bytes: encodeState(SHAPE, EMPTY_DOCUMENT)});
  const unlisted = (eager: boolean): Receiver => {
    const receiver = new Receiver();
    const {replica} = receiver;
    receiver.replica = {...replica, kind: {...replica.kind, eager}, held: {...replica.held!, registered: false}};
    return receiver;
  };
  const receiver = unlisted(false);
  expect(receiver.take(state).type).toBe('later');
  expect(receiver.effects).toContainEqual({type: 'register'});
  expect(receiver.kept).toEqual([]);
  expect(unlisted(true).take(state).type).toBe('applied');
});
