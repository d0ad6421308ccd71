// What one writes by hand without a library: plain JSON, with a rule to join it. `json-state` sends the whole state at
// every synchronization, `json-deltas` only the part that has changed since the last one.
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
  type WorkloadId,
} from '../subject.ts';

type Sends = 'state' | 'deltas';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const encode = (value: unknown): Uint8Array => encoder.encode(JSON.stringify(value));
const decode = <T>(bytes: Uint8Array): T => JSON.parse(decoder.decode(bytes)) as T;

/** Each replica's own total, by counter: the larger total of a replica is the later one. */
type Totals = Record<string, Record<string, number>>;

/** Last writer wins by (time, replica); the time is a Lamport clock. */
type Register = [value: Scalar, time: number, replica: number];
const isLater = (a: Register, b: Register): boolean => a[1] > b[1] || (a[1] === b[1] && a[2] > b[2]);

function joinTotals(mine: Totals, theirs: Totals): void {
  for (const name in theirs) {
    const totals = (mine[name] ??= {});
    for (const replica in theirs[name]) {
      const total = theirs[name][replica]!;
      if (total > (totals[replica] ?? 0)) totals[replica] = total;
    }
  }
}

const sum = (totals: Readonly<Record<string, number>>): number => Object.values(totals).reduce((a, b) => a + b, 0);

class JsonCounters implements CounterReplica {
  readonly #sends: Sends;
  readonly #replica: string;
  readonly #totals: Totals = {};
  readonly #dirty = new Set<string>();

  constructor(sends: Sends, replica: number) {
    this.#sends = sends;
    this.#replica = String(replica);
  }
  increment(counter: string, by: number): void {
    const totals = (this.#totals[counter] ??= {});
    totals[this.#replica] = (totals[this.#replica] ?? 0) + by;
    this.#dirty.add(counter);
  }
  view(): Readonly<Record<string, number>> {
    return Object.fromEntries(Object.entries(this.#totals).map(([name, totals]) => [name, sum(totals)]));
  }
  flush(): Uint8Array {
    if (this.#sends === 'state') return this.snapshot();
    const delta: Totals = {};
    for (const name of this.#dirty) delta[name] = {[this.#replica]: this.#totals[name]![this.#replica]!};
    this.#dirty.clear();
    return encode(delta);
  }
  receive(frame: Uint8Array): void {
    joinTotals(this.#totals, decode(frame));
  }
  snapshot(): Uint8Array {
    return encode(this.#totals);
  }
}

class JsonMap implements MapReplica {
  readonly #sends: Sends;
  readonly #replica: number;
  readonly #registers = new Map<string, Register>();
  readonly #dirty = new Set<string>();
  #time = 0;

  constructor(sends: Sends, replica: number, snapshot?: Uint8Array) {
    this.#sends = sends;
    this.#replica = replica;
    if (snapshot) this.receive(snapshot);
  }
  set(key: string, value: Scalar): void {
    this.#registers.set(key, [value, ++this.#time, this.#replica]);
    this.#dirty.add(key);
  }
  get(key: string): Scalar | undefined {
    return this.#registers.get(key)?.[0];
  }
  *entries(): Iterable<readonly [string, Scalar]> {
    for (const [key, [value]] of this.#registers) yield [key, value];
  }
  flush(): Uint8Array {
    if (this.#sends === 'state') return this.snapshot();
    const delta: Record<string, Register> = {};
    for (const key of this.#dirty) delta[key] = this.#registers.get(key)!;
    this.#dirty.clear();
    return encode(delta);
  }
  receive(frame: Uint8Array): void {
    const registers = decode<Record<string, Register>>(frame);
    for (const key in registers) {
      const theirs = registers[key]!;
      const mine = this.#registers.get(key);
      if (!mine || isLater(theirs, mine)) this.#registers.set(key, theirs);
      if (theirs[1] > this.#time) this.#time = theirs[1];
    }
  }
  snapshot(): Uint8Array {
    return encode(Object.fromEntries(this.#registers));
  }
  /** Without a log and without vectors there is only one way to be sure: both sides send everything. */
  version(): Uint8Array {
    return this.snapshot();
  }
  changesSince(): Uint8Array {
    return this.snapshot();
  }
}

/** The counters of the adds, by replica: one live add of each replica at most. */
type Dots = Record<string, number>;
interface SetState {
  readonly live: Record<string, Dots>;
  /** The highest add seen of each replica: what is seen and no longer live has been removed. */
  readonly seen: Dots;
}
/** For each touched element: its new add, if any, and the adds that it replaces or that a remove has observed. */
type SetDelta = Record<string, [added: number, observed: Dots]>;

class JsonSet implements SetReplica {
  readonly #sends: Sends;
  readonly #replica: string;
  readonly #live = new Map<string, Dots>();
  #seen: Dots = {};
  #delta: SetDelta = {};

  constructor(sends: Sends, replica: number) {
    this.#sends = sends;
    this.#replica = String(replica);
  }
  #touch(element: string, added: number): void {
    const earlier = this.#delta[element];
    this.#delta[element] = [added, {...this.#live.get(element), ...earlier?.[1]}];
  }
  add(element: string): void {
    const dot = (this.#seen[this.#replica] ?? 0) + 1;
    this.#touch(element, dot);
    this.#seen[this.#replica] = dot;
    this.#live.set(element, {[this.#replica]: dot});
  }
  remove(element: string): void {
    this.#touch(element, 0);
    this.#live.delete(element);
  }
  elements(): Iterable<string> {
    return this.#live.keys();
  }
  flush(): Uint8Array {
    const delta = this.#delta;
    this.#delta = {};
    return this.#sends === 'state' ? this.snapshot() : encode([Number(this.#replica), delta]);
  }
  receive(frame: Uint8Array): void {
    if (this.#sends === 'state') this.#joinState(decode(frame));
    else this.#joinDelta(decode(frame));
  }
  #joinDelta([replica, delta]: [string, SetDelta]): void {
    for (const element in delta) {
      const [added, observed] = delta[element]!;
      const dots = this.#live.get(element) ?? {};
      for (const other in observed)
        if (dots[other] !== undefined && dots[other] <= observed[other]!) delete dots[other];
      if (added > 0) dots[replica] = added;
      if (Object.keys(dots).length > 0) this.#live.set(element, dots);
      else this.#live.delete(element);
    }
  }
  #joinState({live, seen}: SetState): void {
    for (const element of new Set([...this.#live.keys(), ...Object.keys(live)])) {
      const [mine, theirs] = [this.#live.get(element) ?? {}, live[element] ?? {}];
      const joined: Dots = {};
      for (const replica in mine)
        if (mine[replica]! > (seen[replica] ?? 0) || theirs[replica] === mine[replica])
          joined[replica] = mine[replica]!;
      for (const replica in theirs)
        if (theirs[replica]! > (this.#seen[replica] ?? 0)) joined[replica] = theirs[replica]!;
      if (Object.keys(joined).length > 0) this.#live.set(element, joined);
      else this.#live.delete(element);
    }
    for (const replica in seen) this.#seen[replica] = Math.max(seen[replica]!, this.#seen[replica] ?? 0);
  }
  snapshot(): Uint8Array {
    return encode({live: Object.fromEntries(this.#live), seen: this.#seen} satisfies SetState);
  }
}

interface EntityState {
  registers: Record<string, Register>;
  counters: Totals;
}

class JsonEntity implements EntityReplica, Replica {
  readonly #sends: Sends;
  readonly #replica: number;
  readonly #registers: Record<string, Register> = {};
  readonly #counters: Totals = {};
  readonly #dirty = new Set<string>();
  #time = 0;

  constructor(sends: Sends, replica: number, snapshot?: Uint8Array) {
    this.#sends = sends;
    this.#replica = replica;
    if (snapshot) this.receive(snapshot);
  }
  set(field: string, value: Scalar): void {
    this.#registers[field] = [value, ++this.#time, this.#replica];
    this.#dirty.add(field);
  }
  increment(field: string, by: number): void {
    const totals = (this.#counters[field] ??= {});
    totals[this.#replica] = (totals[this.#replica] ?? 0) + by;
    this.#dirty.add(field);
  }
  get(field: string): Scalar | undefined {
    return COUNTER_FIELDS.includes(field) ? sum(this.#counters[field] ?? {}) : this.#registers[field]?.[0];
  }
  view(): EntityContent {
    const fields = [...Object.keys(this.#registers), ...Object.keys(this.#counters)];
    return Object.fromEntries(fields.map(field => [field, this.get(field)!]));
  }
  fill(initial: EntityContent): this {
    for (const [field, value] of Object.entries(initial))
      if (COUNTER_FIELDS.includes(field)) this.increment(field, value as number);
      else this.set(field, value);
    this.#dirty.clear();
    return this;
  }
  flush(): Uint8Array {
    if (this.#sends === 'state') return this.snapshot();
    const delta: EntityState = {registers: {}, counters: {}};
    for (const field of this.#dirty)
      if (COUNTER_FIELDS.includes(field))
        delta.counters[field] = {[this.#replica]: this.#counters[field]![this.#replica]!};
      else delta.registers[field] = this.#registers[field]!;
    this.#dirty.clear();
    return encode(delta);
  }
  receive(frame: Uint8Array): void {
    const {registers, counters} = decode<EntityState>(frame);
    for (const field in registers) {
      const theirs = registers[field]!;
      const mine = this.#registers[field];
      if (!mine || isLater(theirs, mine)) this.#registers[field] = theirs;
      if (theirs[1] > this.#time) this.#time = theirs[1];
    }
    joinTotals(this.#counters, counters);
  }
  snapshot(): Uint8Array {
    return encode({registers: this.#registers, counters: this.#counters} satisfies EntityState);
  }
}

const createJson = (name: string, sends: Sends, skips: Partial<Record<WorkloadId, string>>): Subject => ({
  name,
  kind: 'by hand',
  sets: 'add wins',
  skips,
  createCounters: replica => new JsonCounters(sends, replica),
  createMap: replica => new JsonMap(sends, replica),
  openMap: (replica, snapshot) => new JsonMap(sends, replica, snapshot),
  createSet: replica => new JsonSet(sends, replica),
  createEntity: (replica, initial) => new JsonEntity(sends, replica).fill(initial),
  openEntity: (replica, snapshot) => new JsonEntity(sends, replica, snapshot),
});

const SAME = 'the same as json-state';
export const jsonDeltas = createJson('json-deltas', 'deltas', {
  W6: 'keeps no log: a replica that missed a delta needs the state',
  W7: SAME,
  W8: SAME,
});
export const jsonState = createJson('json-state', 'state', {growth: 'sends the whole state by definition'});
