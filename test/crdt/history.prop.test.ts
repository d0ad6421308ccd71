import fc from 'fast-check';
import {expect, test} from 'vitest';
import {toHex} from '../../crdt/bytes.ts';
import {encodeState, MissingEvents} from '../../crdt/document.ts';
import type {Dot} from '../../crdt/dot.ts';
import {History} from '../../crdt/history.ts';
import {coversDot, sameVector, type VersionVector} from '../../crdt/version-vector.ts';
import {play, type PlayedEvent, scriptOf, shapeOf} from '../support/crdt-scripts.ts';
import {ALL_SUBJECTS} from '../support/subjects.ts';

const SHAPE = shapeOf(ALL_SUBJECTS);
const nameOf = ({replica, counter}: Dot) => `${replica}:${counter}`;

interface Played {
  readonly history: History;
  readonly events: readonly PlayedEvent[];
}

const played: fc.Arbitrary<Played> = scriptOf(ALL_SUBJECTS, 10).map(script => {
  const events = play(ALL_SUBJECTS, script).events.flatMap(event => event ?? []);
  return {
    events,
    history: new History(
      SHAPE,
      events.map(({head, received: delta}) => ({head, delta})),
    ),
  };
});

test('[HIS1] the version that an event made is what its author had seen', () => {
  const property = fc.property(played, ({history, events}) => {
    for (const {head, after} of events) expect(sameVector(history.versionOf(head), after.vector)).toBe(true);
  });
  fc.assert(property, {numRuns: 300});
});

test('[HIS2] an event builds directly on those it had seen that no other of them had seen', () => {
  const property = fc.property(played, ({history, events}) => {
    for (const {head, before} of events) {
      const seen = events.filter(other => coversDot(before.vector, other.head));
      const direct = seen.filter(one => !seen.some(other => other !== one && coversDot(other.after.vector, one.head)));
      expect(history.dependencies(head).map(nameOf)).toEqual(direct.map(one => nameOf(one.head)).sort());
    }
    expect(history.frontier(history.version).map(nameOf)).toEqual(
      events
        .filter(one => !events.some(other => other !== one && coversDot(other.after.vector, one.head)))
        .map(one => nameOf(one.head))
        .sort(),
    );
  });
  fc.assert(property, {numRuns: 300});
});

test('[HIS3] concurrent events are those of which neither had seen the other', () => {
  const property = fc.property(played, ({history, events}) => {
    for (const {head, after} of events) {
      const strangers = events.filter(
        other => !coversDot(after.vector, other.head) && !coversDot(other.after.vector, head),
      );
      expect(history.concurrentWith(head).map(nameOf)).toEqual(strangers.map(other => nameOf(other.head)));
    }
  });
  fc.assert(property, {numRuns: 300});
});

test('[HIS4] the state at a version is the one that a replica had there, to the byte', () => {
  const property = fc.property(played, ({history, events}) => {
    for (const {before, after} of events)
      for (const {vector, ...rest} of [before, after])
        expect(toHex(encodeState(SHAPE, history.at(vector)))).toBe(toHex(encodeState(SHAPE, {vector, ...rest})));
  });
  fc.assert(property, {numRuns: 100});
});

test('[HIS5] a version that no replica can have seen has no state, and an event is kept only after what it builds on', () => {
  const property = fc.property(played, ({history, events}) => {
    for (const {head, after} of events) {
      const without = new Map([...after.vector].filter(([replica]) => replica === head.replica));
      const possible = sameVector(history.versionOf(head), without);
      if (possible) expect(sameVector(history.at(without).vector, without)).toBe(true);
      else expect(() => history.at(without)).toThrow(MissingEvents);
    }
    const [first, ...others] = events;
    const late = new History(SHAPE);
    for (const {head, received: delta} of others) {
      if (delta.since.size === 0) continue;
      expect(() => late.append({head, delta})).toThrow(MissingEvents);
      break;
    }
    expect(late.version.size).toBe(0);
    if (first) expect(() => history.versionOf({...first.head, counter: 99})).toThrow(MissingEvents);
  });
  fc.assert(property, {numRuns: 100});
});

test('[HIS6] between two versions lie the events of one that the other lacks, and only what they changed differs', () => {
  const property = fc.property(played, fc.nat(), fc.nat(), ({history, events}, one, other) => {
    if (events.length === 0) return;
    const versions: readonly VersionVector[] = events.map(({after}) => after.vector);
    const [from, to] = [versions[one % versions.length]!, versions[other % versions.length]!];
    const between = history.between(from, to);
    expect(between.map(({head}) => nameOf(head))).toEqual(
      events.filter(({head}) => coversDot(to, head) && !coversDot(from, head)).map(({head}) => nameOf(head)),
    );
    const touched = new Set([...between, ...history.between(to, from)].flatMap(({delta}) => [...delta.fields.keys()]));
    const differences = history.difference(from, to);
    for (const {field} of differences) expect(touched.has(field)).toBe(true);
    expect(history.difference(from, from)).toEqual([]);
    const back = history.difference(to, from);
    expect(back.map(({field, key}) => [field, key])).toEqual(differences.map(({field, key}) => [field, key]));
    const [was, is] = [history.at(from), history.at(to)].map(({fields}) =>
      toHex(
        encodeState(SHAPE, {...history.at(new Map()), fields, vector: history.version, latest: {ms: 9, logical: 9}}),
      ),
    );
    expect(differences.length === 0).toBe(was === is);
  });
  fc.assert(property, {numRuns: 150});
});
