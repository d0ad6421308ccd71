import * as A from '@automerge/automerge';
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

type Value = Scalar | A.Counter | A.ImmutableString;
type Content = Record<string, Value>;

/** Sixteen bytes, as many as Automerge draws. */
const actorOf = (replica: number): string => `${replica + 1}`.padStart(2, '0').repeat(16);

/** Immutable strings: a plain one is a collaborative text in Automerge 3, which a register does not need and pays for. */
const valueOf = (value: Scalar): Value => (typeof value === 'string' ? new A.ImmutableString(value) : value);

function scalarOf(value: Value | undefined): Scalar | undefined {
  if (value instanceof A.Counter) return value.value;
  return value instanceof A.ImmutableString ? value.val : value;
}

/**
 * The bytes of a document that holds the counters. Every replica starts from the same ones, or each would have created
 * counters of its own under the same names, of which one wins and the increments of the others are lost.
 */
const ORIGINS = new Map<string, Uint8Array>();
function originOf(names: readonly string[]): Uint8Array {
  const id = names.join();
  let origin = ORIGINS.get(id);
  if (!origin) {
    origin = A.save(A.from<Content>(Object.fromEntries(names.map(name => [name, new A.Counter(0)]))));
    ORIGINS.set(id, origin);
  }
  return origin;
}

class AutomergeReplica implements Replica, CounterReplica, MapReplica, SetReplica, EntityReplica {
  #doc: A.Doc<Content>;
  /** The heads before the edits that wait to be flushed. saveIncremental() would also send on what came from others. */
  #since: A.Heads | undefined;
  #changing: Content | undefined;
  #adds = 0;

  constructor(replica: number, snapshot?: Uint8Array) {
    const actor = actorOf(replica);
    this.#doc = snapshot ? A.load<Content>(snapshot, {actor}) : A.init<Content>({actor});
  }

  #edit(change: (content: Content) => void): void {
    if (this.#changing) return change(this.#changing);
    this.#since ??= A.getHeads(this.#doc);
    this.#doc = A.change(this.#doc, change);
  }
  batch(edits: () => void): void {
    this.#edit(content => {
      this.#changing = content;
      edits();
      this.#changing = undefined;
    });
  }

  increment(counter: string, by: number): void {
    this.#edit(content => (content[counter] as A.Counter).increment(by));
  }
  set(key: string, value: Scalar): void {
    this.#edit(content => {
      content[key] = valueOf(value);
    });
  }
  get(key: string): Scalar | undefined {
    return scalarOf(this.#doc[key]);
  }
  *entries(): Iterable<readonly [string, Scalar]> {
    for (const key of Object.keys(this.#doc)) yield [key, scalarOf(this.#doc[key])!];
  }
  /** A new value each time: Automerge drops an assignment that changes nothing, and a concurrent remove would win over it. */
  add(element: string): void {
    this.set(element, ++this.#adds);
  }
  remove(element: string): void {
    this.#edit(content => {
      delete content[element];
    });
  }
  elements(): Iterable<string> {
    return Object.keys(this.#doc);
  }
  view(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.entries()) as Record<string, number>;
  }
  fill(initial: EntityContent): this {
    this.#doc = A.change(this.#doc, content => {
      for (const [field, value] of Object.entries(initial))
        content[field] = COUNTER_FIELDS.includes(field) ? new A.Counter(value as number) : valueOf(value);
    });
    return this;
  }

  flush(): Uint8Array {
    const frame = A.saveSince(this.#doc, this.#since!);
    this.#since = undefined;
    return frame;
  }
  receive(frame: Uint8Array): void {
    this.#doc = A.loadIncremental(this.#doc, frame);
  }
  snapshot(): Uint8Array {
    return A.save(this.#doc);
  }
  version(): Uint8Array {
    return new TextEncoder().encode(JSON.stringify(A.getHeads(this.#doc)));
  }
  changesSince(version: Uint8Array): Uint8Array {
    const heads = JSON.parse(new TextDecoder().decode(version)) as A.Heads;
    // To somebody who has nothing the document is a tenth of its changes.
    return heads.length === 0 ? A.save(this.#doc) : A.saveSince(this.#doc, heads);
  }
  dispose(): void {
    A.free(this.#doc);
  }
}

export const subject: Subject = {
  name: 'automerge',
  kind: 'library',
  sets: 'add wins',
  notes: {
    W1: "Automerge's own counter, in a document that all replicas start from; it keeps the whole history",
    W3: 'Automerge has no set: a map with the elements as keys and a new value for each add, which survives a concurrent delete',
    W4: 'immutable strings, and two of its own counters',
  },
  growthOperationsMax: 10_000,
  createCounters: (replica, names) => new AutomergeReplica(replica, originOf(names)),
  createMap: replica => new AutomergeReplica(replica),
  openMap: (replica, snapshot) => new AutomergeReplica(replica, snapshot),
  createSet: replica => new AutomergeReplica(replica),
  createEntity: (replica, initial) => new AutomergeReplica(replica).fill(initial),
  openEntity: (replica, snapshot) => new AutomergeReplica(replica, snapshot),
};
