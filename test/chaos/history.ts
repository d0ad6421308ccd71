// What the clients of a chaos run asked, what they were answered, and what was done to the storage meanwhile. Times are those
// of one clock, in milliseconds.

/** `put` and `take` change the stock as `receive` and `reserve` do, and leave their key in a bin of its own as well. */
export type Kind = 'receive' | 'reserve' | 'put' | 'take';

export const ADDS: Readonly<Record<Kind, boolean>> = {receive: true, reserve: false, put: true, take: false};
export const HAS_BIN: Readonly<Record<Kind, boolean>> = {receive: false, reserve: false, put: true, take: true};

/** What an answer showed of an item, and whose answer it was. */
export interface Seen {
  readonly item: string;
  readonly region: string;
  /** One client's dealings with one item: what it has seen it goes on seeing, wherever it goes. */
  readonly session: string;
  readonly sentAtMs: number;
  readonly atMs: number;
  /** Asked for at least this. */
  readonly minVersion: string | undefined;
  readonly version: string;
  readonly stock: number;
  readonly sold: number;
  readonly bins: Readonly<Record<string, number>>;
}

export interface Acknowledgement {
  readonly type: 'acked';
  readonly dot: string | undefined;
  readonly duplicate: boolean;
  readonly seen: Seen;
}

export interface Command {
  readonly key: string;
  readonly kind: Kind;
  readonly item: string;
  readonly quantity: number;
  readonly session: string;
  readonly sentAtMs: number;
  /** Where it was sent to, once for each attempt. */
  readonly regions: readonly string[];
  /** `open`: some answer was lost, and none has come. */
  result: Acknowledgement | {readonly type: 'refused'; readonly code: string} | {readonly type: 'open'};
}

/** An acknowledged command, sent once more by somebody who has its version. */
export interface Repetition {
  readonly key: string;
  readonly result: Acknowledgement | {readonly type: 'refused'; readonly code: string};
}

export interface StorageFault {
  readonly region: string;
  /** The item whose state it hit; empty where it hit no item's, undefined where that could not be told. */
  readonly item: string | undefined;
  readonly kind: string;
  readonly atMs: number;
}

/** An item in one region, when all was healed. */
export interface Final {
  readonly item: string;
  readonly region: string;
  /** Undefined: no region holds it. */
  readonly digest: string | undefined;
  readonly version: string | undefined;
  readonly stock: number;
  readonly sold: number;
  readonly bins: Readonly<Record<string, number>>;
}

export interface History {
  readonly commands: readonly Command[];
  readonly reads: readonly Seen[];
  readonly repetitions: readonly Repetition[];
  readonly storageFaults: readonly StorageFault[];
  readonly finals: readonly Final[];
  /** Answers that turned the clients' token away, which is valid all the time. */
  readonly turnedAway: readonly string[];
  /** Of processes that nobody had ended. */
  readonly deaths: readonly string[];
}
