// The properties that hold of every type, for the tests of each type to claim under their own rule numbers.
import fc from 'fast-check';
import {expect} from 'vitest';
import {toHex} from '../../crdt/bytes.ts';
import {EMPTY_DOCUMENT, encodeState, fieldState, join, leq} from '../../crdt/document.ts';
import {coversVector} from '../../crdt/version-vector.ts';
import {
  effective,
  fingerprint,
  joinAll,
  only,
  play,
  readField,
  scriptAndDelivery,
  scriptOf,
  shapeOf,
} from './crdt-scripts.ts';
import type {AnySubject} from './subjects.ts';

/** Deltas from the wire, each twice and in any order, make the bytes that joining the documents makes, and the model's reading. */
export function convergesOnModel(subject: AnySubject, numRuns: number): void {
  const subjects = only(subject);
  const property = fc.property(scriptAndDelivery(subjects), ([script, delivery]) => {
    const run = play(subjects, script);
    const delivered = joinAll(
      run.shape,
      delivery.flatMap(step => run.events[step]?.received ?? []),
    );
    const joined = joinAll(run.shape, run.documents);
    expect(toHex(encodeState(run.shape, delivered))).toBe(toHex(encodeState(run.shape, joined)));
    expect(readField(subjects, delivered, 'field')).toEqual(subject.model(effective(run, 'field')));
  });
  fc.assert(property, {numRuns});
}

/**
 * Commutative, associative, idempotent and monotone; a delta does what its author's whole state would; arguments are frozen
 * throughout.
 */
export function obeysJoinLaws(subject: AnySubject, numRuns: number): void {
  const subjects = only(subject);
  const shape = shapeOf(subjects);
  const picks = fc.array(fc.nat(), {maxLength: 5});
  const property = fc.property(scriptOf(subjects, 7), fc.tuple(picks, picks, picks), (script, chosen) => {
    const {events, documents} = play(subjects, script);
    const pieces = [...events.flatMap(event => event?.received ?? []), ...documents, EMPTY_DOCUMENT];
    const [a, b, c] = chosen.map(indices =>
      joinAll(
        shape,
        indices.map(index => pieces[index % pieces.length]!),
      ),
    ) as [typeof EMPTY_DOCUMENT, typeof EMPTY_DOCUMENT, typeof EMPTY_DOCUMENT];
    const before = [a, b, c].map(document => fingerprint(shape, document));
    const ab = join(shape, a, b);
    expect(fingerprint(shape, join(shape, b, a))).toBe(fingerprint(shape, ab));
    expect(fingerprint(shape, join(shape, a, join(shape, b, c)))).toBe(fingerprint(shape, join(shape, ab, c)));
    expect(fingerprint(shape, join(shape, a, a))).toBe(before[0]);
    expect(fingerprint(shape, join(shape, ab, b))).toBe(fingerprint(shape, ab));
    // What brings nothing new leaves the very same state, or every redelivery would look like a change.
    expect(fieldState(join(shape, ab, b), 'field', subject.type)).toBe(fieldState(ab, 'field', subject.type));
    expect(leq(shape, a, ab) && leq(shape, b, ab)).toBe(true);
    expect(leq(shape, ab, a)).toBe(fingerprint(shape, ab) === before[0]);
    for (const event of events) {
      if (!event || !coversVector(a.vector, event.received.since)) continue;
      const grown = join(shape, a, event.received);
      expect(fingerprint(shape, grown)).toBe(fingerprint(shape, join(shape, a, event.after)));
      expect(fingerprint(shape, join(shape, grown, b))).toBe(fingerprint(shape, join(shape, ab, event.received)));
    }
    expect([a, b, c].map(document => fingerprint(shape, document))).toEqual(before);
  });
  fc.assert(property, {numRuns});
}
