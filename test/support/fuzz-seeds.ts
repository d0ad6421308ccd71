// Encodings taken apart for mutation: what each range of bytes is (a number, a count, an id, a text, the length of what
// follows), learnt by watching the decoder read it. So the mutations know the boundaries of every type, and of the next one.
import {DecodeError, Reader} from '../../crdt/bytes.ts';

export type Kind = 'number' | 'count' | 'byte' | 'word' | 'text' | 'raw';

export interface Piece {
  readonly kind: Kind;
  readonly bytes: Uint8Array;
  /** For the length of something: how many of the next pieces that is; 0 for everything else. */
  readonly covers: number;
}

export interface Seed {
  readonly bytes: Uint8Array;
  readonly pieces: readonly Piece[];
}

interface Range {
  kind: Kind;
  from: number;
  to: number;
  value: number | undefined;
  /** Where that ends whose length this is. */
  ends: number | undefined;
}

type Method = (this: Reader, ...args: unknown[]) => unknown;

/** How each method of a reader is written down: as what it read itself, or as the one range that its calls make together. */
const WATCHED: Readonly<Record<string, Kind>> = {
  byte: 'byte',
  varint: 'number',
  exact: 'number',
  count: 'count',
  word: 'word',
  raw: 'raw',
  float: 'raw',
  copyTo: 'raw',
  text: 'text',
};

class Watch {
  readonly ranges: Range[] = [];
  readonly #bases = new WeakMap<Reader, number>();
  #base = 0;

  /** Readers that are made of what another one read lie where that lay. */
  baseOf(reader: Reader): number {
    const known = this.#bases.get(reader);
    if (known !== undefined) return known;
    const last = this.ranges.at(-1);
    if (last?.kind === 'raw') {
      this.#base = last.from;
      this.ranges.pop();
    }
    this.#bases.set(reader, this.#base);
    return this.#base;
  }

  /** Whether the number just read is the length of what comes now. */
  lengthEnds(from: number, to: number): void {
    const last = this.ranges.at(-1);
    if (last?.to === from && last.value === to - from && last.ends === undefined) last.ends = to;
  }

  readonly around = (name: string, original: Method): Method => {
    const {ranges} = this;
    const [baseOf, lengthEnds] = [this.baseOf.bind(this), this.lengthEnds.bind(this)];
    const kind = WATCHED[name]!;
    return function (...args) {
      const base = baseOf(this);
      const from = base + this.at;
      const mark = ranges.length;
      if (kind === 'raw' || kind === 'text') lengthEnds(from, from + Number(args.at(-1)));
      const result = original.apply(this, args);
      ranges.length = mark;
      const to = base + this.at;
      ranges.push({kind, from, to, value: typeof result === 'number' ? result : undefined, ends: undefined});
      return result;
    };
  };

  readonly aroundEnter = (original: Method): Method => {
    const [baseOf, lengthEnds] = [this.baseOf.bind(this), this.lengthEnds.bind(this)];
    return function (...args) {
      const from = baseOf(this) + this.at;
      lengthEnds(from, from + Number(args[0]));
      return original.apply(this, args);
    };
  };

  /** Names that were recognised instead of read: a length and a text all the same. */
  readonly aroundSkip = (original: Method): Method => {
    const {ranges} = this;
    const baseOf = this.baseOf.bind(this);
    return function (...args) {
      const from = baseOf(this) + this.at;
      const skipped = original.apply(this, args);
      if (skipped === true) {
        const to = from + (args[0] as Uint8Array).length;
        ranges.push({kind: 'count', from, to: from + 1, value: to - from - 1, ends: to});
        ranges.push({kind: 'text', from: from + 1, to, value: undefined, ends: undefined});
      }
      return skipped;
    };
  };
}

function watched(decode: () => unknown): readonly Range[] {
  const watch = new Watch();
  const prototype = Reader.prototype as unknown as Record<string, Method>;
  const names = [...Object.keys(WATCHED), 'enter', 'skipIf'];
  const originals = names.map(name => prototype[name]!);
  for (const [at, name] of names.entries()) {
    const original = originals[at]!;
    if (name === 'enter') prototype[name] = watch.aroundEnter(original);
    else if (name === 'skipIf') prototype[name] = watch.aroundSkip(original);
    else prototype[name] = watch.around(name, original);
  }
  try {
    decode();
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error; // As far as it was read, then.
  } finally {
    for (const [at, name] of names.entries()) prototype[name] = originals[at]!;
  }
  return watch.ranges;
}

/** Bytes that nobody was seen to read become pieces of their own. */
export function takenApart(bytes: Uint8Array, decode: (bytes: Uint8Array) => unknown): Seed {
  const ranges: Range[] = [];
  let end = 0;
  const fill = (to: number) => {
    if (to > end) ranges.push({kind: 'raw', from: end, to, value: undefined, ends: undefined});
  };
  for (const range of watched(() => decode(bytes))) {
    if (range.from < end || range.to <= range.from) continue;
    fill(range.from);
    ranges.push(range);
    end = range.to;
  }
  fill(bytes.length);
  const pieces = ranges.map(({kind, from, to, ends}, at): Piece => {
    let covers = 0;
    if (ends !== undefined) while (at + covers + 1 < ranges.length && ranges[at + covers + 1]!.to <= ends) covers++;
    const whole = covers > 0 && ranges[at + covers]!.to === ends;
    return {kind, bytes: bytes.slice(from, to), covers: whole ? covers : 0};
  });
  return {bytes, pieces};
}
