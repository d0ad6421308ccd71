import {type LoroCounter, LoroDoc, type LoroMap, VersionVector} from 'loro-crdt';
import {
  COUNTER_FIELDS,
  type CounterReplica,
  type EntityContent,
  type EntityReplica,
  type MapReplica,
  type Replica,
  type Scalar,
  type SetReplica,
  type Subject,
} from '../subject.ts';

/** As large as the random ones that Loro draws. */
const PEER_IDS = [
  11400714819323198485n,
  13787848793156543929n,
  10723151780598845931n,
  15794028255413092319n,
  12605985483714917081n,
] as const;

abstract class LoroReplica implements Replica {
  protected readonly doc = new LoroDoc();
  readonly #counters = new Map<string, LoroCounter>();
  /** Where this replica stood before the edits that wait to be flushed. */
  #since: VersionVector | undefined;
  #batching = false;

  constructor(replica: number, snapshot?: Uint8Array) {
    this.doc.setPeerId(PEER_IDS[replica]!);
    if (snapshot) this.doc.import(snapshot);
  }

  protected edit(change: () => void): void {
    this.#since ??= this.doc.oplogVersion();
    change();
    if (!this.#batching) this.doc.commit();
  }
  batch(edits: () => void): void {
    this.#batching = true;
    edits();
    this.#batching = false;
    this.doc.commit();
  }
  protected counter(name: string): LoroCounter {
    let counter = this.#counters.get(name);
    if (!counter) {
      counter = this.doc.getCounter(name);
      this.#counters.set(name, counter);
    }
    return counter;
  }

  flush(): Uint8Array {
    const from = this.#since!;
    const frame = this.doc.export({mode: 'update', from});
    this.#since = undefined;
    from.free();
    return frame;
  }
  receive(frame: Uint8Array): void {
    this.doc.import(frame);
  }
  snapshot(): Uint8Array {
    return this.doc.export({mode: 'snapshot'});
  }
  version(): Uint8Array {
    return this.doc.oplogVersion().encode();
  }
  changesSince(version: Uint8Array): Uint8Array {
    return this.doc.export({mode: 'update', from: VersionVector.decode(version)});
  }
  dispose(): void {
    this.doc.free();
  }
}

class LoroCounters extends LoroReplica implements CounterReplica {
  readonly #names: readonly string[];
  constructor(replica: number, names: readonly string[]) {
    super(replica);
    this.#names = names;
  }
  increment(counter: string, by: number): void {
    this.edit(() => this.counter(counter).increment(by));
  }
  view(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#names.map(name => [name, this.counter(name).value]));
  }
}

class LoroEntries extends LoroReplica implements MapReplica, SetReplica {
  readonly #map = this.doc.getMap('content') as LoroMap<Record<string, Scalar>>;

  set(key: string, value: Scalar): void {
    this.edit(() => this.#map.set(key, value));
  }
  get(key: string): Scalar | undefined {
    return this.#map.get(key);
  }
  entries(): Iterable<readonly [string, Scalar]> {
    return this.#map.entries() as [string, Scalar][]; // Faster than toJSON(), keys() with get(), and the document's.
  }
  add(element: string): void {
    this.set(element, true);
  }
  remove(element: string): void {
    this.edit(() => this.#map.delete(element));
  }
  elements(): Iterable<string> {
    return this.#map.keys();
  }
}

class LoroEntity extends LoroReplica implements EntityReplica {
  readonly #fields = this.doc.getMap('fields') as LoroMap<Record<string, Scalar>>;

  set(field: string, value: Scalar): void {
    this.edit(() => this.#fields.set(field, value));
  }
  increment(field: string, by: number): void {
    this.edit(() => this.counter(field).increment(by));
  }
  get(field: string): Scalar | undefined {
    return COUNTER_FIELDS.includes(field) ? this.counter(field).value : this.#fields.get(field);
  }
  view(): EntityContent {
    const counters = COUNTER_FIELDS.map(field => [field, this.counter(field).value]);
    return {...(this.#fields.toJSON() as Record<string, Scalar>), ...Object.fromEntries(counters)};
  }
  fill(initial: EntityContent): this {
    for (const [field, value] of Object.entries(initial))
      if (COUNTER_FIELDS.includes(field)) this.increment(field, value as number);
      else this.set(field, value);
    this.flush();
    return this;
  }
}

export const subject: Subject = {
  name: 'loro',
  kind: 'library',
  sets: 'last writer wins',
  notes: {
    W1: "Loro's own counter; it keeps the whole history",
    W3: 'Loro has no set: a map with the elements as keys, last writer wins; adding what is there sends nothing',
    W4: 'a map, and two of its own counters',
  },
  createCounters: (replica, names) => new LoroCounters(replica, names),
  createMap: replica => new LoroEntries(replica),
  openMap: (replica, snapshot) => new LoroEntries(replica, snapshot),
  createSet: replica => new LoroEntries(replica),
  createEntity: (replica, initial) => new LoroEntity(replica).fill(initial),
  openEntity: (replica, snapshot) => new LoroEntity(replica, snapshot),
};
