import * as Y from 'yjs';
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
import {addUp, own, total} from './emulated-counter.ts';

/** As large as the random ones that Yjs draws: a small id would save bytes that no user saves. */
const CLIENT_IDS = [2654435769, 1779033703, 3144134277, 1013904242, 2773480762];

abstract class YjsReplica implements Replica {
  readonly #doc = new Y.Doc();
  readonly #updates: Uint8Array[] = [];
  protected readonly map: Y.Map<Scalar>;
  protected readonly replica: number;

  constructor(replica: number, snapshot?: Uint8Array) {
    this.replica = replica;
    this.map = this.#doc.getMap('content');
    if (snapshot) Y.applyUpdate(this.#doc, snapshot);
    this.#doc.clientID = CLIENT_IDS[replica]!; // After the snapshot: Yjs draws another id when its own arrives from outside.
    // Update events rather than encodeStateAsUpdate(doc, vector): that one repeats every deletion the document ever saw.
    this.#doc.on('update', (update: Uint8Array, _origin: unknown, _doc: Y.Doc, transaction: Y.Transaction) => {
      if (transaction.local) this.#updates.push(update);
    });
  }

  flush(): Uint8Array {
    const updates = this.#updates.splice(0);
    return updates.length === 1 ? updates[0]! : Y.mergeUpdates(updates);
  }
  receive(frame: Uint8Array): void {
    Y.applyUpdate(this.#doc, frame);
  }
  snapshot(): Uint8Array {
    return Y.encodeStateAsUpdate(this.#doc);
  }
  version(): Uint8Array {
    return Y.encodeStateVector(this.#doc);
  }
  changesSince(version: Uint8Array): Uint8Array {
    return Y.encodeStateAsUpdate(this.#doc, version);
  }
  batch(edits: () => void): void {
    this.#doc.transact(edits);
  }
  dispose(): void {
    this.#doc.destroy();
  }
}

class YjsCounters extends YjsReplica implements CounterReplica {
  increment(counter: string, by: number): void {
    const key = own(counter, this.replica);
    this.map.set(key, ((this.map.get(key) as number | undefined) ?? 0) + by);
  }
  view(): Readonly<Record<string, number>> {
    return addUp(this.map.entries() as Iterable<[string, number]>);
  }
}

class YjsMap extends YjsReplica implements MapReplica {
  set(key: string, value: Scalar): void {
    this.map.set(key, value);
  }
  get(key: string): Scalar | undefined {
    return this.map.get(key);
  }
  entries(): Iterable<readonly [string, Scalar]> {
    return this.map.entries();
  }
}

class YjsSet extends YjsReplica implements SetReplica {
  add(element: string): void {
    this.map.set(element, true);
  }
  remove(element: string): void {
    this.map.delete(element);
  }
  elements(): Iterable<string> {
    return this.map.keys();
  }
}

class YjsEntity extends YjsReplica implements EntityReplica {
  set(field: string, value: Scalar): void {
    this.map.set(field, value);
  }
  increment(field: string, by: number): void {
    const key = own(field, this.replica);
    this.map.set(key, ((this.map.get(key) as number | undefined) ?? 0) + by);
  }
  get(field: string): Scalar | undefined {
    return COUNTER_FIELDS.includes(field) ? total(field, key => this.map.get(key)) : this.map.get(field);
  }
  view(): EntityContent {
    return addUp(this.map.entries());
  }
  /** In one transaction: that is how a document is first filled. */
  fill(initial: EntityContent): this {
    this.map.doc!.transact(() => {
      for (const [field, value] of Object.entries(initial))
        if (COUNTER_FIELDS.includes(field)) this.increment(field, value as number);
        else this.set(field, value);
    });
    this.flush();
    return this;
  }
}

const EMULATED =
  'Yjs has no counter: each replica writes its own total under a key of its own, and a reader adds them up';

export const subject: Subject = {
  name: 'yjs',
  kind: 'library',
  sets: 'last writer wins',
  notes: {W1: EMULATED, W3: 'Yjs has no set: a map with the elements as keys, last writer wins', W4: EMULATED},
  createCounters: replica => new YjsCounters(replica),
  createMap: replica => new YjsMap(replica),
  openMap: (replica, snapshot) => new YjsMap(replica, snapshot),
  createSet: replica => new YjsSet(replica),
  createEntity: (replica, initial) => new YjsEntity(replica).fill(initial),
  openEntity: (replica, snapshot) => new YjsEntity(replica, snapshot),
};
