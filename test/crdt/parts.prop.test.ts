import fc from 'fast-check';
import {expect, test} from 'vitest';
import {toHex} from '../../crdt/bytes.ts';
import {EMPTY_CONTEXT} from '../../crdt/causal-context.ts';
import {WHOLE} from '../../crdt/crdt-type.ts';
import {decodePart, encodePart, fieldState} from '../../crdt/document.ts';
import {only, play, scriptOf} from '../support/crdt-scripts.ts';
import {ALL_SUBJECTS} from '../support/subjects.ts';

const KEYED = new Set(['bins', 'labels', 'notes', 'tags']);

test.each([...ALL_SUBJECTS])('[PART1] the parts of a state join back to it, over the disk: field %s', (_, subject) => {
  const {type} = subject;
  const property = fc.property(scriptOf(only(subject), 8), script => {
    for (const document of play(only(subject), script).documents) {
      const state: unknown = fieldState(document, 'field', type);
      // Parts hold no context of their own: they were cut from one state, so nothing in one can have removed another.
      const whole = [...type.parts(state)]
        .map(([, part]) => decodePart(type, encodePart(type, part)))
        .reduce((a, b) => type.join(a, EMPTY_CONTEXT, b, EMPTY_CONTEXT) as unknown, type.empty as unknown);
      expect(toHex(encodePart(type, whole))).toBe(toHex(encodePart(type, state)));
    }
  });
  fc.assert(property, {numRuns: 100});
});

test.each([...ALL_SUBJECTS])('[PART2] a part is identical while nothing in it changes: field %s', (name, subject) => {
  const {type} = subject;
  const property = fc.property(scriptOf(only(subject), 8), script => {
    for (const event of play(only(subject), script).events) {
      if (!event) continue;
      const [before, after] = [event.before, event.after].map(
        document => new Map<string, unknown>(type.parts(fieldState(document, 'field', type))),
      ) as [Map<string, unknown>, Map<string, unknown>];
      if (!KEYED.has(name)) expect([...after.keys()]).toEqual([WHOLE]);
      for (const [key, part] of after) {
        const earlier = before.get(key);
        const same = earlier !== undefined && toHex(encodePart(type, earlier)) === toHex(encodePart(type, part));
        if (same) expect(part).toBe(earlier); // Or every write would make every row dirty.
      }
    }
  });
  fc.assert(property, {numRuns: 100});
});
