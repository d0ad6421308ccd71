// Small-scope exhaustion: nearly every bug that a join can have shows in a few events of three replicas, if all of them are tried.
import {isDeepStrictEqual as isSame} from 'node:util';
import {expect, test} from 'vitest';
import {alphabetOf, eventsOf} from '../support/alphabets.ts';
import {Disagreement, tryEveryScript} from '../support/every-script.ts';
import type {History} from '../support/histories.ts';
import {CONVERGENCE_BUGS as PLANTED} from '../support/planted-bugs.ts';
import {ALL_SUBJECTS, MORE_SUBJECTS} from '../support/subjects.ts';

/** Of all types together: less is a mistake of the enumeration, or of whoever took operations out. */
const SCRIPTS_MIN = 230_000;
/** Of each type. A type whose operations are mostly refused has the fewest. */
const SCRIPTS_OF_TYPE_MIN = 3_000;

let all = 0;

test.each([...ALL_SUBJECTS, ...MORE_SUBJECTS])(
  '[EXH1] every script of a few events by three replicas, in every delivery, ends as the model says: field %s',
  (name, subject) => {
    const letters = alphabetOf(name);
    const eventsMax = eventsOf(name);
    const tried = tryEveryScript(subject, {letters, eventsMax, isSame});
    console.log(`${name}: ${tried.scripts} scripts of up to ${eventsMax} events, ${tried.deliveries} deliveries`);
    expect(tried.scripts).toBeGreaterThanOrEqual(SCRIPTS_OF_TYPE_MIN);
    all += tried.scripts;
  },
);

test('[EXH1] nothing of it was pruned away', () => {
  expect(all).toBeGreaterThanOrEqual(SCRIPTS_MIN);
});

/** What a history is, whatever its replicas are called and in whatever order unrelated events were written down. */
function meaningOf({events}: History): string {
  const names = [...new Set(events.map(({head}) => head.replica))];
  const nameOf = (id: number, order: readonly string[]) =>
    `${order.indexOf(events[id]!.head.replica)}:${events[id]!.head.counter}`;
  const told = (order: readonly string[]) =>
    events
      .map(({past, write}, id) => {
        const before = [...events.keys()].filter(other => (past >> other) & 1).map(other => nameOf(other, order));
        return `${nameOf(id, order)} ${String(write.command)} after ${before.sort().join()}`;
      })
      .sort()
      .join('; ');
  return permutations(names).map(told).sort()[0]!;
}

const permutations = (names: readonly string[]): readonly (readonly string[])[] =>
  names.length < 2
    ? [names]
    : names.flatMap((name, at) => permutations(names.toSpliced(at, 1)).map(others => [name, ...others]));

test('[EXH2] what is pruned is only what is there already under other names or in another order', () => {
  const meanings = (pruned: boolean) => {
    const found: string[] = [];
    const visit = (history: History) => void found.push(meaningOf(history));
    tryEveryScript(ALL_SUBJECTS.get('views')!, {letters: [1n, 2n], eventsMax: 4, isSame, pruned, visit});
    return found;
  };
  const [pruned, whole] = [meanings(true), meanings(false)];
  expect(pruned.length).toBeLessThan(whole.length / 4);
  expect(new Set(pruned)).toEqual(new Set(whole));
});

test.each([...PLANTED])('[EXH3] a planted bug is found: %s', (_, subject) => {
  const trial = {letters: alphabetOf('tags'), eventsMax: 4, isSame};
  expect(() => tryEveryScript(subject, trial)).toThrow(Disagreement);
});
