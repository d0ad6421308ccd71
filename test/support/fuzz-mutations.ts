// Ways to spoil an encoding where it hurts: at the boundaries of its pieces, with the lengths around them corrected most of the
// time, or nearly everything would be refused at the first length.
import {concat} from '../../crdt/bytes.ts';
import type {Piece, Seed} from './fuzz-seeds.ts';
import type {Dice} from './sim-random.ts';

export const INPUT_BYTES_MAX = 1 << 16;
const MUTATIONS = [1, 1, 1, 1, 1, 2, 2, 3, 5];

function numberBytes(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Uint8Array.from([...bytes, Number(rest)]);
}

function numberIn(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let at = bytes.length - 1; at >= 0; at--) value = (value << 7n) | BigInt(bytes[at]! & 0x7f);
  return value;
}

/** Around every limit that a decoder has, and beyond the last. */
const NUMBERS = [0n, 1n, 2n, 3n, 4n, 7n, 8n, 14n, 31n, 32n, 48n, 50n, 52n, 53n, 64n, 511n, 512n, 600n]
  .flatMap(bits => [2n ** bits - 1n, 2n ** bits])
  .map(numberBytes);
const SMALL = [0n, 1n, 2n, 3n].map(numberBytes);
const STEPS = [1n, -1n, 2n, -2n, 8n, -8n, 16n, 64n];
const BYTES = [0, 1, 2, 3, 4, 0x0f, 0x10, 0x3f, 0x40, 0x7f, 0x80, 0x82, 0x85, 0x86, 0xa0, 0xf0, 0xff];
const TEXTS = ['', 'a', '__proto__', 'k', 'é', '😀', 'tags', 'sold', 'zz'].map(text => new TextEncoder().encode(text));
const NO_UTF8 = [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82]].map(bytes =>
  Uint8Array.from(bytes),
);
const NOTHING = new Uint8Array(0);

const joined = (pieces: readonly Piece[], from: number, to: number): Uint8Array => {
  const bytes: number[] = [];
  for (let at = from; at < to; at++) for (const byte of pieces[at]!.bytes) bytes.push(byte);
  return Uint8Array.from(bytes);
};

type Changed = (Uint8Array | undefined)[];

/** Writes pieces with some of them replaced. */
class Assembly {
  #bytes = new Uint8Array(1 << 12);
  #length = 0;
  #pieces: readonly Piece[] = [];
  #changed: Changed = [];
  #fixLengths = true;

  make(pieces: readonly Piece[], changed: Changed, fixLengths: boolean): Uint8Array {
    this.#pieces = pieces;
    this.#changed = changed;
    this.#fixLengths = fixLengths;
    this.#length = 0;
    this.#write(0, pieces.length);
    return this.#bytes.slice(0, Math.min(this.#length, INPUT_BYTES_MAX));
  }

  #raw(bytes: Uint8Array): void {
    const end = this.#length + bytes.length;
    if (end + 16 > this.#bytes.length) {
      const grown = new Uint8Array(end * 2 + 16);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = end;
  }

  #write(from: number, to: number): void {
    for (let at = from; at < to; at++) {
      const {bytes, covers} = this.#pieces[at]!;
      const changed = this.#changed[at];
      if (covers === 0 || changed || !this.#fixLengths) {
        this.#raw(changed ?? bytes);
        continue;
      }
      const start = this.#length;
      this.#write(at + 1, at + 1 + covers);
      const length = numberBytes(BigInt(this.#length - start));
      this.#raw(length); // Makes the room; the number belongs in front.
      this.#bytes.copyWithin(start + length.length, start, this.#length - length.length);
      this.#bytes.set(length, start);
      at += covers;
    }
  }
}

export class Mutator {
  readonly #dice: Dice;
  readonly #assembly = new Assembly();

  constructor(dice: Dice) {
    this.#dice = dice;
  }

  /** A spoiled `seed`, with parts of `other` in it perhaps. */
  spoil(seed: Seed, other: Seed): Uint8Array {
    const dice = this.#dice;
    if (dice.percent(3)) return this.#noise();
    const changed: Changed = [];
    const {pieces} = seed;
    if (pieces.length === 0) return this.#noise();
    for (let left = dice.pick(MUTATIONS); left > 0; left--) this.#change(pieces, changed, other.pieces);
    const bytes = this.#assembly.make(pieces, changed, !dice.percent(6));
    return dice.percent(8) ? this.#blindly(bytes) : bytes;
  }

  #noise(): Uint8Array {
    const bytes = new Uint8Array(this.#dice.between(0, 40));
    for (let at = 0; at < bytes.length; at++) bytes[at] = this.#byte();
    return bytes;
  }

  #byte(): number {
    return this.#dice.percent(50) ? this.#dice.pick(BYTES) : this.#dice.between(0, 255);
  }

  /** What knows no boundaries: a bit, a byte, an end. */
  #blindly(bytes: Uint8Array): Uint8Array {
    const dice = this.#dice;
    if (bytes.length === 0) return bytes;
    const at = dice.between(0, bytes.length - 1);
    switch (dice.between(0, 4)) {
      case 0:
        return bytes.slice(0, at);
      case 1:
        return concat([bytes, Uint8Array.of(this.#byte())]);
      case 2:
        bytes[at] = this.#byte();
        return bytes;
      case 3:
        return concat([bytes.slice(0, at), bytes.slice(at + 1)]);
      default:
        bytes[at] = bytes[at]! ^ (1 << dice.between(0, 7));
        return bytes;
    }
  }

  #change(pieces: readonly Piece[], changed: Changed, others: readonly Piece[]): void {
    const dice = this.#dice;
    const at = dice.between(0, pieces.length - 1);
    const bytesAt = (index: number) => changed[index] ?? pieces[index]!.bytes;
    const kind = dice.between(0, 99);
    if (kind < 62) changed[at] = this.#otherwise(pieces[at]!.kind, bytesAt(at));
    else if (kind < 74) {
      // The same thing of another place: fields, ids and keys change places, or one comes twice.
      const from = this.#alike(pieces, pieces[at]!.kind, at);
      const mine = bytesAt(at);
      changed[at] = bytesAt(from);
      if (dice.percent(50)) changed[from] = mine;
    } else if (kind < 80) {
      const to = Math.min(pieces.length, at + dice.between(1, 6));
      for (let index = at; index < to; index++) changed[index] = NOTHING;
    } else if (kind < 86) {
      const from = dice.between(0, pieces.length - 1);
      const span = joined(pieces, from, Math.min(pieces.length, from + dice.between(1, 12)));
      changed[at] = concat([bytesAt(at), span]);
    } else if (kind < 94 && others.length > 0) {
      const from = this.#alike(others, pieces[at]!.kind, dice.between(0, others.length - 1));
      const span = joined(others, from, Math.min(others.length, from + dice.between(1, 8)));
      changed[at] = dice.percent(60) ? span : concat([bytesAt(at), span]);
    } else if (kind < 97 && others.length > 0) {
      // The beginning of the one and the end of the other.
      const from = dice.between(0, others.length - 1);
      for (let index = at; index < pieces.length; index++) changed[index] = NOTHING;
      changed[at] = joined(others, from, others.length);
    } else for (let index = at; index < pieces.length; index++) changed[index] = NOTHING;
  }

  /** A piece of that kind, at or behind `at` if there is one near. */
  #alike(pieces: readonly Piece[], kind: Piece['kind'], at: number): number {
    const start = this.#dice.between(0, pieces.length - 1);
    for (let step = 0; step < pieces.length; step++) {
      const index = (start + step) % pieces.length;
      if (index !== at && pieces[index]!.kind === kind) return index;
    }
    return at;
  }

  #otherwise(kind: Piece['kind'], bytes: Uint8Array): Uint8Array {
    const dice = this.#dice;
    switch (kind) {
      case 'number':
      case 'count':
        return this.#number(bytes);
      case 'byte':
        return Uint8Array.of(this.#byte());
      case 'text':
        if (dice.percent(15)) return dice.pick(NO_UTF8);
        if (dice.percent(40)) return dice.pick(TEXTS);
        return this.#byteChanged(bytes);
      case 'word':
      case 'raw':
        return this.#byteChanged(bytes);
      default:
        return kind satisfies never;
    }
  }

  #number(bytes: Uint8Array): Uint8Array {
    const dice = this.#dice;
    const kind = dice.between(0, 9);
    if (kind < 7) {
      const value = numberIn(bytes) + dice.pick(STEPS);
      const other = numberBytes(value < 0n ? 0n : value);
      // Many numbers say that another one follows.
      return dice.percent(15) ? concat([other, dice.pick(dice.percent(60) ? SMALL : NUMBERS)]) : other;
    }
    if (kind === 7) return dice.pick(NUMBERS);
    if (kind === 8 && bytes.length > 0) {
      // A longer form of the same number.
      const longer = concat([bytes, NOTHING]);
      longer[longer.length - 1]! |= 0x80;
      return concat([longer, Uint8Array.of(...(dice.percent(70) ? [0] : [0x80, 0]))]);
    }
    return new Uint8Array(dice.between(1, 90)).fill(0x80);
  }

  #byteChanged(bytes: Uint8Array): Uint8Array {
    if (bytes.length === 0) return Uint8Array.of(this.#byte());
    const copy = bytes.slice();
    copy[this.#dice.between(0, copy.length - 1)] = this.#byte();
    return copy;
  }
}
