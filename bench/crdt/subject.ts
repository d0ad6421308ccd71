// What a library must offer to be measured. Each subject uses its library as that library's documentation recommends.
//
// The rules that keep it fair:
// - Every edit is a transaction of its own, as every command to an entity is. Edits of one window may travel together, and
//   be merged only where the library does that by itself.
// - flush() is called after at least one edit, receive() never between an edit and the flush() that carries it. Frames
//   arrive once each, in the order of their sender.
// - Whatever the library's own protocol sends to bring a peer up to date counts as bytes.

export type Scalar = string | number | boolean;

export type WorkloadId = 'W1' | 'W2' | 'W3' | 'W4' | 'W6' | 'W7' | 'W8' | 'growth';

export interface Replica {
  /** Everything edited here since the last flush, as the one frame that goes to every peer. Nothing received is in it. */
  flush(): Uint8Array;
  receive(frame: Uint8Array): void;
  /** All that a replica needs in order to go on later. It need not hold the replica's own number. */
  snapshot(): Uint8Array;
  /**
   * Makes the edits in one transaction, where the library has such a thing. Only for `--batched`: without it, the edits
   * of a window are as many transactions.
   */
  batch?(edits: () => void): void;
  /** Gives back memory that no garbage collector sees, or the next subject would run beside this one's garbage. */
  dispose?(): void;
}

export interface CounterReplica extends Replica {
  increment(counter: string, by: number): void;
  /** The sum over all replicas, by counter. */
  view(): Readonly<Record<string, number>>;
}

/** Last writer wins, by key. */
export interface MapReplica extends Replica {
  set(key: string, value: Scalar): void;
  get(key: string): Scalar | undefined;
  entries(): Iterable<readonly [key: string, value: Scalar]>;
  /** What a peer that comes back sends first, so that the other knows what it has missed. */
  version(): Uint8Array;
  /** The answer to it, to be given to receive(). */
  changesSince(version: Uint8Array): Uint8Array;
}

export interface SetReplica extends Replica {
  add(element: string): void;
  remove(element: string): void;
  elements(): Iterable<string>;
}

export type EntityContent = Readonly<Record<string, Scalar>>;

/** One business entity: last writer wins in each field, except in COUNTER_FIELDS, which count. */
export interface EntityReplica extends Replica {
  set(field: string, value: Scalar): void;
  increment(field: string, by: number): void;
  get(field: string): Scalar | undefined;
  view(): EntityContent;
}

export const COUNTER_FIELDS: readonly string[] = ['received', 'sold'];

export interface Subject {
  readonly name: string;
  /** A product's CRDT library, against whose best the ratios stand; JSON written by hand is shown beside them. */
  readonly kind: 'library' | 'by hand';
  /** `last writer wins`: its sets must converge, but need not agree with the add-wins model. */
  readonly sets: 'add wins' | 'last writer wins';
  /** Printed below a workload's table: how the library's types stand for ours. */
  readonly notes?: Partial<Record<WorkloadId, string>>;
  /** Workloads that this subject does not take part in, and why. */
  readonly skips?: Partial<Record<WorkloadId, string>>;
  /** Operations beyond which the growth workload would not end in reasonable time. */
  readonly growthOperationsMax?: number;

  /** Called once for each replica; all of them must end up on the same counters, whose names are known beforehand. */
  createCounters(replica: number, names: readonly string[]): CounterReplica;
  createMap(replica: number): MapReplica;
  openMap(replica: number, snapshot: Uint8Array): MapReplica;
  createSet(replica: number): SetReplica;
  createEntity(replica: number, initial: EntityContent): EntityReplica;
  openEntity(replica: number, snapshot: Uint8Array): EntityReplica;
}
