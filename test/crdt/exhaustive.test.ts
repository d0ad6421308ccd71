// Small-scope exhaustion: nearly every bug that a join can have shows in a few events of three replicas, if all of them are tried.
import {isDeepStrictEqual} from 'node:util';
import {expect, test} from 'vitest';
import {wholly} from '../../crdt/causal-context.ts';
import {alphabetOf, eventsOf} from '../support/alphabets.ts';
import {Disagreement, tryEveryScript} from '../support/every-script.ts';
import {ALL_SUBJECTS, type AnySubject, MORE_SUBJECTS} from '../support/subjects.ts';

/** What is tried at least, whatever is pruned: less is a mistake of the enumeration. */
const SCRIPTS_MIN: Readonly<Record<string, number>> = {
  DEFAULTS: 0,
};

test.each([...ALL_SUBJECTS, ...MORE_SUBJECTS])(
  '[EXH1] every script of a few events by three replicas, in every delivery, ends as the model says: field %s',
  (name, subject) => {
    const letters = alphabetOf(name);
    const tried = tryEveryScript(subject, letters, eventsOf(letters), isDeepStrictEqual);
    console.log(`${name}: ${tried.scripts} scripts, ${tried.deliveries} deliveries`);
    expect(tried.scripts).toBeGreaterThanOrEqual(SCRIPTS_MIN[name]!);
  },
);

test('[EXH2] what is pruned loses nothing: by hand, one operation of two replicas makes these scripts', () => {
  const views = ALL_SUBJECTS.get('views')!;
  // One event; two of one replica, two of two (unheard or heard).
  expect(tryEveryScript(views, [1n], 1, isDeepStrictEqual).scripts).toBe(1);
  expect(tryEveryScript(views, [1n], 2, isDeepStrictEqual).scripts).toBe(1 + 3);
  expect(tryEveryScript(views, [1n, 2n], 2, isDeepStrictEqual).scripts).toBe(2 + 3 * 4);
});
