import fc from 'fast-check';
import {expect, test} from 'vitest';
import {toHex} from '../../crdt/bytes.ts';
import {wholeOf} from '../../crdt/causal-context.ts';
import {EMPTY_VECTOR} from '../../crdt/version-vector.ts';
import {WHOLE} from '../../crdt/crdt-type.ts';
import {decodePart, encodePart, fieldState} from '../../crdt/document.ts';
import {only, play, scriptOf} from '../support/crdt-scripts.ts';
import {ALL_SUBJECTS, MORE_SUBJECTS} from '../support/subjects.ts';

const NONE = wholeOf(EMPTY_VECTOR);
const SUBJECTS = [...ALL_SUBJECTS, ...MORE_SUBJECTS];
const isKeyed = (name: string) => /^(?:aw-set|g-set|rw-set|lww-element-set|list|or-map.*|rw-map.*)$/.test(name);

test.each(SUBJECTS)('[PART1] the parts of a state join back to it, over the disk: field %s', (_, subject) => {
  const {type} = subject;
  const property = fc.property(scriptOf(only(subject), 8), script => {
    for (const document of play(only(subject), script).documents) {
      const state: unknown = fieldState(document, 'field', type);
      // Parts hold no context of their own: they were cut from one state, so nothing in one can have removed another.
      const whole = [...type.parts(state)]
        .map(([, part]) => decodePart(type, encodePart(type, part)))
        .reduce((a, b) => type.join(a, NONE, b, NONE) as unknown, type.empty as unknown);
      expect(toHex(encodePart(type, whole))).toBe(toHex(encodePart(type, state)));
    }
  });
  fc.assert(property, {numRuns: 100});
});

test.each(SUBJECTS)('[PART2] a part is identical while nothing in it changes: field %s', (_, subject) => {
  const {type} = subject;
  const property = fc.property(scriptOf(only(subject), 8), script => {
    for (const event of play(only(subject), script).events) {
      if (!event) continue;
      const [before, after] = [event.before, event.after].map(
        document => new Map<string, unknown>(type.parts(fieldState(document, 'field', type))),
      ) as [Map<string, unknown>, Map<string, unknown>];
      if (!isKeyed(type.name)) expect([...after.keys()]).toEqual([WHOLE]);
      for (const [key, part] of after) {
        const earlier = before.get(key);
        const same = earlier !== undefined && toHex(encodePart(type, earlier)) === toHex(encodePart(type, part));
        if (same) expect(part).toBe(earlier); // Or every write would make every row dirty.
      }
    }
  });
  fc.assert(property, {numRuns: 100});
});
