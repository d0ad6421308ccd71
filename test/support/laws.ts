// The laws of every type, checked on whole documents as bytes, on short histories that are made fast: thousands of cases for each
// type in a second or two.
import fc from 'fast-check';
import {sameBytes, toHex} from '../../crdt/bytes.ts';
import {partOf, wholeOf} from '../../crdt/causal-context.ts';
import {
  decodeState,
  type Document,
  EMPTY_DOCUMENT,
  encodePart,
  encodeState,
  fieldState,
  join,
  leq,
} from '../../crdt/document.ts';
import {coversVector, EMPTY_VECTOR} from '../../crdt/version-vector.ts';
import {WHOLE} from '../../crdt/crdt-type.ts';
import {deepFreeze} from './deep-freeze.ts';
import {beginning, continued, FIELD, type Happened, type History} from './histories.ts';
import {Dice} from './sim-random.ts';
import type {AnySubject} from './subjects.ts';

/** Cases that share one history, with other documents each. */
const CASES_PER_HISTORY = 4;
const COMMANDS = 500;
const [NONE, PIECE] = [wholeOf(EMPTY_VECTOR), partOf(EMPTY_VECTOR)];

export class BrokenLaw extends Error {
  override readonly name = 'BrokenLaw';
}

class Laws {
  readonly #subject: AnySubject;
  readonly #dice: Dice;
  readonly #commands: readonly unknown[];

  constructor(subject: AnySubject, seed: number) {
    this.#subject = subject;
    this.#dice = new Dice(seed);
    this.#commands = fc.sample(subject.command, {seed, numRuns: COMMANDS});
  }

  /** Two to five events, frozen. */
  history(): History {
    const dice = this.#dice;
    let history = beginning(this.#subject);
    const events = dice.between(2, 5);
    for (let tries = 0; tries < 3 * events && history.events.length < events; tries++) {
      const by = dice.between(0, 2);
      const hears = dice.percent(50) ? [(by + dice.between(1, 2)) % 3] : [];
      const time = {ms: dice.between(0, 2), logical: dice.between(0, 1)};
      history = continued(history, by, hears, dice.pick(this.#commands), time, deepFreeze) ?? history;
    }
    return history;
  }

  /** What some replica may hold: what it had, and what it heard. */
  #document({shape, holders, events}: History): Document {
    const dice = this.#dice;
    const pick = (): Document => {
      const kind = dice.between(0, 9);
      if (kind === 0 || events.length === 0) return EMPTY_DOCUMENT;
      if (kind < 4) return dice.pick(holders).document;
      const {before, after} = dice.pick(events);
      return kind < 8 ? after : before;
    };
    const document = pick();
    return dice.percent(50) ? document : deepFreeze(join(shape, document, pick()));
  }

  checkOne(history: History): void {
    const [a, b, c] = [this.#document(history), this.#document(history), this.#document(history)];
    const {shape, events} = history;
    const bytesOf = (document: Document) => encodeState(shape, document);
    const holds = (law: string, left: Uint8Array, right: Uint8Array) => {
      if (!sameBytes(left, right)) throw new BrokenLaw(`${law}: ${toHex(left)} and ${toHex(right)}`);
    };
    const is = (law: string, right: boolean) => {
      if (!right) throw new BrokenLaw(law);
    };
    const before = [a, b, c].map(bytesOf);
    const ab = join(shape, a, b);
    const ofAb = bytesOf(ab);
    holds('commutative', ofAb, bytesOf(join(shape, b, a)));
    holds('associative', bytesOf(join(shape, ab, c)), bytesOf(join(shape, a, join(shape, b, c))));
    is('idempotent', join(shape, a, a) === a && join(shape, ab, b) === ab && join(shape, ab, a) === ab);
    is('nothing new leaves the very same state', staysItself(history, a));
    is('monotone', leq(shape, a, ab) && leq(shape, b, ab));
    is('below only what holds it', leq(shape, ab, a) === sameBytes(ofAb, before[0]!));
    for (const {delta, after} of events)
      if (coversVector(a.vector, delta.since))
        holds('a delta does what the whole state does', bytesOf(join(shape, a, delta)), bytesOf(join(shape, a, after)));
    holds('canonical', bytesOf(decodeState(shape, ofAb)), ofAb);
    const kept = [a, b, c].map(bytesOf);
    for (const [at, bytes] of kept.entries()) holds('join leaves its arguments', bytes, before[at]!);
    this.#checkPieces(fieldState(ab, FIELD, this.#subject.type));
  }

  #checkPieces(state: unknown): void {
    const {type} = this.#subject;
    let whole: unknown = type.empty;
    for (const [, piece] of type.pieces(state)) whole = type.join(whole, NONE, piece, PIECE);
    if (!sameBytes(encodePart(type, whole), encodePart(type, state))) throw new BrokenLaw('pieces do not join back');
  }

  /** A delta lists what its event changed, and nothing else. */
  checkDelta({delta, before, after}: Happened): void {
    const {type} = this.#subject;
    const [was, is] = [before, after].map(
      document => new Map<string, unknown>(type.parts(fieldState(document, FIELD, type))),
    ) as [Map<string, unknown>, Map<string, unknown>];
    const state: unknown = fieldState(delta, FIELD, type);
    for (const [key] of type.parts(state))
      if (key !== WHOLE && was.get(key) === is.get(key))
        throw new BrokenLaw(`a delta with what did not change: ${key}`);
  }
}

/** A state that is equal and not the same brings nothing new. */
function staysItself({shape}: History, document: Document): boolean {
  const type = shape.get(FIELD)!;
  const state: unknown = fieldState(document, FIELD, type);
  const copy: unknown = fieldState(decodeState(shape, encodeState(shape, document)), FIELD, type);
  const context = wholeOf(document.vector);
  return type.join(state, context, copy, context) === state;
}

/** Throws a BrokenLaw, or whatever a frozen argument throws. Returns the number of cases. */
export function obeyLaws(subject: AnySubject, cases: number, seed: number): number {
  const laws = new Laws(subject, seed);
  let checked = 0;
  while (checked < cases) {
    const history = laws.history();
    for (let left = CASES_PER_HISTORY; left > 0; left--, checked++) laws.checkOne(history);
    for (const event of history.events) laws.checkDelta(event);
  }
  return checked;
}
