// What the fuzzer starts from: encodings of real documents, their deltas, their streams and their parts, made by scripts.
import fc from 'fast-check';
import {Writer} from '../../crdt/bytes.ts';
import {encodeReplica, type EventHead} from '../../crdt/codec.ts';
import {
  type Delta,
  type Document,
  encodeChanges,
  encodeDelta,
  encodePart,
  encodeState,
  type EventDelta,
  fieldState,
  type Shape,
} from '../../crdt/document.ts';
import {encodeTime} from '../../crdt/hybrid-clock.ts';
import {differing, digestsOf, encodeDigests, encodeRanges, rangeSplits} from '../../crdt/patch.ts';
import {Refusal} from '../../crdt/refusal.ts';
import {Replica} from '../../crdt/replica.ts';
import {amountsOf} from '../../crdt/undo.ts';
import {decodedDelta, joinAll, only, play, scriptOf, shapeOf, type Step, type Subjects} from './crdt-scripts.ts';
import {ALL_SUBJECTS, type AnySubject, MORE_SUBJECTS, REPLICAS} from './subjects.ts';

const SEED = 20_26;
/** Whose amounts are read: everything that a script's first replica adds to counters is of this event's. */
export const AMOUNTS_HEAD: EventHead = {replica: REPLICAS[0], counter: 9, time: {ms: 9, logical: 0}};

/** Every type there is. */
export const EVERY_SUBJECT: Subjects = new Map([...ALL_SUBJECTS, ...MORE_SUBJECTS]);
export const EVERY_SHAPE: Shape = shapeOf(EVERY_SUBJECT);
/** A build that lacks most fields. */
export const OLD_SHAPE: Shape = new Map([...EVERY_SHAPE].filter(([name]) => name === 'tags' || name === 'sold'));

const scripts = (subjects: Subjects, steps: number, count: number): readonly (readonly Step[])[] =>
  fc.sample(scriptOf(subjects, steps), {seed: SEED, numRuns: count});

/** A few fields at a time: what is small is spoiled more thoroughly. */
export const SOME_RUNS = [...EVERY_SUBJECT.keys()].map((name, at, names) => {
  const chosen = [0, 3, 7].slice(0, 1 + (at % 3)).map(step => names[(at + step) % names.length]!);
  const subjects = new Map(chosen.map(one => [one, EVERY_SUBJECT.get(one)!] as const));
  return {name, runs: scripts(subjects, 7, 12).map(script => play(subjects, script))};
});

export const DOCUMENTS: readonly Document[] = SOME_RUNS.flatMap(({runs}) => runs.flatMap(run => run.documents));

/** What an event's delta is read with, in front of it. */
export function headedDelta(head: EventHead, delta: EventDelta, shape: Shape = EVERY_SHAPE): Uint8Array {
  const writer = new Writer();
  encodeReplica(writer, head.replica);
  writer.varint(head.counter);
  encodeTime(writer, head.time);
  encodeDelta(writer, shape, delta);
  return writer.finish();
}

export const EVENTS = SOME_RUNS.flatMap(({runs}) => runs.flatMap(run => run.events.flatMap(event => event ?? [])));

/** States of a build that knows few fields, and keeps the deltas of the others. */
export const OLD_DOCUMENTS: readonly Document[] = SOME_RUNS.flatMap(({runs}) =>
  runs.slice(0, 4).map(run =>
    joinAll(
      OLD_SHAPE,
      run.events.flatMap(event => (event ? [decodedDelta(OLD_SHAPE, event.bytes, event.head)] : [])),
    ),
  ),
);

function edited(replica: Replica, {writes}: Step, subjects: Subjects): void {
  replica.edit(draft => {
    for (const {field, command} of writes)
      try {
        draft.write(field, subjects.get(field)!.write(draft.state(field), draft, command));
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
      }
  });
}

/** What replicas say to each other: a stream's frames, one after the other with their lengths, and answers to versions. */
function talks(): {streams: Uint8Array[]; changes: Delta[]} {
  const streams: Uint8Array[] = [];
  const changes: Delta[] = [];
  for (const {runs: _runs, name} of SOME_RUNS) {
    const subjects = new Map([
      [name, EVERY_SUBJECT.get(name)!],
      ['sold', EVERY_SUBJECT.get('sold')!],
    ]);
    for (const script of scripts(subjects, 8, 6)) {
      let clock = 0;
      const replicas = new Map(
        REPLICAS.map(id => [id, new Replica(EVERY_SHAPE, {id, now: () => clock++ >> 1})] as const),
      );
      const frames = new Map(REPLICAS.map(id => [id, new Writer()] as const));
      for (const step of script) {
        const replica = replicas.get(step.replica)!;
        if (step.hears) replica.apply(replicas.get(step.hears)!.document);
        edited(replica, step, subjects);
        if (step.time.logical === 1) continue; // More than one event in a frame.
        const delta = step.time.ms === 2 ? replica.takeDelta() : undefined;
        if (delta) changes.push(delta);
        const frame = replica.flush();
        if (frame && step.time.ms !== 2) frames.get(step.replica)!.bytes(frame);
      }
      for (const writer of frames.values()) if (writer.length > 0) streams.push(writer.finish());
    }
  }
  return {streams, changes};
}

const {streams, changes} = talks();
export const STREAMS: readonly Uint8Array[] = streams;
export const CHANGES: readonly Uint8Array[] = changes.map(delta => encodeChanges(EVERY_SHAPE, delta));
export const STATES: readonly Uint8Array[] = DOCUMENTS.map(document => encodeState(EVERY_SHAPE, document));

export function partsOf(subject: AnySubject): readonly Uint8Array[] {
  const {type} = subject;
  const runs = scripts(only(subject), 7, 60).map(script => play(only(subject), script));
  return runs.flatMap(({documents}) =>
    documents.flatMap(document => {
      const state: unknown = fieldState(document, 'field', type);
      return type.isEmpty(state)
        ? []
        : [state, ...[...type.parts(state)].map(([, part]) => part)].map(part => encodePart(type, part));
    }),
  );
}

/** Digests of one state by the ranges of another, and what a third sends back for them. */
function comparisons(): {digests: Uint8Array[]; ranges: Uint8Array[]} {
  const digests: Uint8Array[] = [];
  const ranges: Uint8Array[] = [];
  for (const {runs} of SOME_RUNS)
    for (const {documents} of runs.slice(0, 4))
      for (const [at, mine] of documents.entries()) {
        const theirs = documents[(at + 1) % documents.length]!;
        const made = digestsOf(EVERY_SHAPE, mine, rangeSplits(EVERY_SHAPE, theirs));
        const writer = new Writer();
        encodeDigests(writer, EVERY_SHAPE, made);
        digests.push(writer.finish());
        ranges.push(encodeRanges(EVERY_SHAPE, theirs, differing(EVERY_SHAPE, theirs, made)));
      }
  return {digests, ranges};
}

export const {digests: DIGESTS, ranges: RANGES} = comparisons();

const COUNTING: Subjects = new Map([...EVERY_SUBJECT].filter(([name]) => /bins|seats|sold|stock|views/.test(name)));

/** What events made the totals of their authors grow. The head they are read with is not among the bytes. */
export const AMOUNTS: readonly Uint8Array[] = scripts(COUNTING, 6, 120)
  .flatMap(script => play(COUNTING, script).events)
  .flatMap(event => (event?.head.replica === AMOUNTS_HEAD.replica ? [event] : []))
  .flatMap(({before, delta}) => amountsOf(EVERY_SHAPE, before, {...delta, head: AMOUNTS_HEAD}) ?? []);
