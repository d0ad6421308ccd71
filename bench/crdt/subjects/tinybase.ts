import {createMergeableStore, type MergeableChanges, type MergeableContent} from 'tinybase/mergeable-store';
import {
  COUNTER_FIELDS,
  type CounterReplica,
  type EntityContent,
  type EntityReplica,
  type MapReplica,
  type Scalar,
  type SetReplica,
  type Subject,
} from '../subject.ts';
import {addUp, own, total} from './emulated-counter.ts';

/** JSON has no undefined, which stands for a deleted value in TinyBase; this character is what its synchronizers send. */
const UNDEFINED = '\uFFFC';
const encode = (value: unknown): Uint8Array =>
  new TextEncoder().encode(JSON.stringify(value, (_key, part: unknown) => (part === undefined ? UNDEFINED : part)));

/** Not a reviver's `undefined`, which would leave a hole where TinyBase looks for a value. */
function decode(bytes: Uint8Array): unknown {
  const text = new TextDecoder().decode(bytes);
  if (!text.includes(UNDEFINED)) return JSON.parse(text);
  return JSON.parse(text, (_key, part: unknown) => {
    if (Array.isArray(part))
      for (let index = 0; index < part.length; index++) if (part[index] === UNDEFINED) part[index] = undefined;
    return part;
  });
}

/** Everything is a keyed value of the store: a cell of a table would send and hash two more levels for each edit. */
class TinyBaseReplica implements CounterReplica, MapReplica, SetReplica, EntityReplica {
  readonly #store;
  readonly #replica: number;
  readonly #changes: MergeableChanges[] = [];
  #receiving = false;

  constructor(replica: number, snapshot?: Uint8Array) {
    this.#replica = replica;
    this.#store = createMergeableStore(`replica-00000${replica}`);
    if (snapshot) this.#store.setMergeableContent(decode(snapshot) as MergeableContent);
    // What a synchronizer sends, at the moment at which it sends it.
    this.#store.addDidFinishTransactionListener(() => {
      if (this.#receiving) return;
      const changes = this.#store.getTransactionMergeableChanges();
      if (Object.keys(changes[1][0]).length > 0) this.#changes.push(changes);
    });
  }

  increment(counter: string, by: number): void {
    const key = own(counter, this.#replica);
    this.#store.setValue(key, ((this.#store.getValue(key) as number | undefined) ?? 0) + by);
  }
  set(key: string, value: Scalar): void {
    this.#store.setValue(key, value);
  }
  get(key: string): Scalar | undefined {
    if (COUNTER_FIELDS.includes(key)) return total(key, part => this.#store.getValue(part) as Scalar | undefined);
    return this.#store.getValue(key) as Scalar | undefined;
  }
  entries(): Iterable<readonly [string, Scalar]> {
    return Object.entries(this.#store.getValues() as Record<string, Scalar>);
  }
  add(element: string): void {
    this.#store.setValue(element, true);
  }
  remove(element: string): void {
    this.#store.delValue(element);
  }
  elements(): Iterable<string> {
    return this.#store.getValueIds();
  }
  view(): Readonly<Record<string, number>> {
    return addUp(this.entries() as Iterable<[string, number]>);
  }
  fill(initial: EntityContent): this {
    this.#store.transaction(() => {
      for (const [field, value] of Object.entries(initial))
        if (COUNTER_FIELDS.includes(field)) this.increment(field, value as number);
        else this.set(field, value);
    });
    this.flush();
    return this;
  }

  batch(edits: () => void): void {
    this.#store.transaction(edits);
  }
  flush(): Uint8Array {
    return encode(this.#changes.splice(0));
  }
  receive(frame: Uint8Array): void {
    this.#receiving = true;
    for (const changes of decode(frame) as MergeableChanges[]) this.#store.applyMergeableChanges(changes);
    this.#receiving = false;
  }
  snapshot(): Uint8Array {
    return encode(this.#store.getMergeableContent());
  }
  version(): Uint8Array {
    return encode(this.#store.getMergeableValueHashes());
  }
  changesSince(version: Uint8Array): Uint8Array {
    const values = this.#store.getMergeableValueDiff(decode(version) as Record<string, number>);
    return encode([[[{}], values, 1]]);
  }
}

const EMULATED = 'TinyBase has no counter: each replica writes its own total under a key of its own';

export const subject: Subject = {
  name: 'tinybase',
  kind: 'library',
  sets: 'last writer wins',
  notes: {
    W1: EMULATED,
    W3: 'TinyBase has no set: keyed values, last writer wins; adding what is there sends nothing, the stamps of removed ones stay',
    W4: EMULATED,
    W6: 'the hashes of all keys, which the returning replica sends, are counted',
  },
  createCounters: replica => new TinyBaseReplica(replica),
  createMap: replica => new TinyBaseReplica(replica),
  openMap: (replica, snapshot) => new TinyBaseReplica(replica, snapshot),
  createSet: replica => new TinyBaseReplica(replica),
  createEntity: (replica, initial) => new TinyBaseReplica(replica).fill(initial),
  openEntity: (replica, snapshot) => new TinyBaseReplica(replica, snapshot),
};
