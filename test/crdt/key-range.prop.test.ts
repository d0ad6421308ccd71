import fc from 'fast-check';
import {expect, test} from 'vitest';
import {toHex} from '../../crdt/bytes.ts';
import {encodePart, fieldState} from '../../crdt/document.ts';
import {differingRanges, digestOfRange, rangesOf} from '../../crdt/key-range.ts';
import {only, play, scriptOf} from '../support/crdt-scripts.ts';
import {ALL_SUBJECTS} from '../support/subjects.ts';

test.each([...ALL_SUBJECTS])(
  '[KR1] ranges have equal digests exactly when they hold the same: field %s',
  (_, subject) => {
    const {type} = subject;
    const property = fc.property(scriptOf(only(subject), 8), script => {
      const states = play(only(subject), script).documents.map(document =>
        fieldState<unknown>(document, 'field', type),
      );
      const contents = states.map(state => toHex(encodePart(type, state)));
      for (const [one, ours] of states.entries())
        for (const [other, theirs] of states.entries()) {
          const [a, b] = [digestOfRange(type, ours), digestOfRange(type, theirs)];
          expect(a.digest === b.digest && a.keys === b.keys).toBe(contents[one] === contents[other]);
        }
    });
    fc.assert(property, {numRuns: 60});
  },
);

test.each(['bins', 'tags'])('[KR2] only the ranges that hold a difference are named: field %s', name => {
  const {type} = ALL_SUBJECTS.get(name)!;
  const subjects = only(ALL_SUBJECTS.get(name)!);
  const splits = ['a', 'k', 'z'];
  const property = fc.property(scriptOf(subjects, 8), script => {
    const [ours, theirs] = play(subjects, script).documents.map(document =>
      fieldState<unknown>(document, 'field', type),
    );
    if (theirs === undefined) return;
    const digests = (state: unknown) => rangesOf(splits).map(range => digestOfRange(type, state, range));
    const parts = (state: unknown) =>
      new Map([...type.parts(state)].map(([key, part]) => [key, toHex(encodePart(type, part))]));
    const [mine, yours] = [parts(ours), parts(theirs)];
    const differ = [...new Set([...mine.keys(), ...yours.keys()])].filter(key => mine.get(key) !== yours.get(key));
    const expected = rangesOf(splits).filter(({from, to}) =>
      differ.some(key => (from === undefined || key >= from) && (to === undefined || key < to)),
    );
    expect(differingRanges(splits, digests(ours), digests(theirs))).toEqual(expected);
  });
  fc.assert(property, {numRuns: 200});
});
