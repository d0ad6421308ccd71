// What the rows of a log make of the state that they follow, when a replica is opened. Every store replays them by this.
import type {Document, Shape} from '../crdt/document.ts';
import type {ReplicaId} from '../crdt/dot.ts';
import {compareTimes, type HybridTime} from '../crdt/hybrid-clock.ts';
import {decodeEntry} from './entry.ts';
import {type Keys, type Mark, withMark} from './keys.ts';
import {joinEvent} from './minting.ts';

export class Replay {
  readonly freshMarks: Mark[] = [];
  document: Document;
  time: HybridTime;
  keys: Keys;
  readonly #shape: Shape;
  readonly #forgotten: readonly ReplicaId[];

  constructor(
    shape: Shape,
    forgotten: readonly ReplicaId[],
    {document, time, keys}: Pick<Replay, 'document' | 'time' | 'keys'>,
  ) {
    this.#shape = shape;
    this.#forgotten = forgotten;
    this.document = document;
    this.time = time;
    this.keys = keys;
  }

  take(entry: Uint8Array): void {
    const {head, document: delta} = decodeEntry(this.#shape, entry);
    this.document = joinEvent(this.#shape, this.document, delta, this.#forgotten, head.replica);
    if (head.mark) {
      const mark = {...head.mark, dot: {replica: head.replica, counter: head.counter}, time: head.time};
      this.freshMarks.push(mark);
      ({keys: this.keys} = withMark(this.keys, mark));
    }
    if (compareTimes(head.time, this.time) > 0) this.time = head.time;
  }
}
