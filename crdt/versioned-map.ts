// An immutable map whose newest version costs no more than a mutable one. Small maps are arrays that are copied. Large ones
// share a single hash table, which belongs to the version that was read last; every other version keeps what differs on
// the way to it (Baker 1978, "Shallow binding in LISP 1.5"; Conchon and Filliâtre 2007 for the proof). Copying a plain Map
// for each change would make the cost of an operation grow with the size of the state.

/** Up to here a map is two arrays: there is no table to build, and a scan is as fast as a hash. */
const SMALL_MAX = 32;
/** Versions may lie this many changes per entry apart before they stop sharing: an old one that somebody keeps stays small. */
const CHANGES_PER_ENTRY_MAX = 4;

export abstract class VersionedMap<K, V> implements ReadonlyMap<K, V> {
  static empty<K, V>(): VersionedMap<K, V> {
    return EMPTY;
  }

  static single<K, V>(key: K, value: V): VersionedMap<K, V> {
    return new SmallMap([key], [value]);
  }

  /** Takes the arrays over; the keys must differ. */
  static ofArrays<K, V>(keys: readonly K[], values: readonly V[]): VersionedMap<K, V> {
    if (keys.length <= SMALL_MAX) return keys.length === 0 ? EMPTY : new SmallMap(keys, values);
    return new TableMap<K, V>(undefined, keys, values);
  }

  static of<K, V>(map: ReadonlyMap<K, V>): VersionedMap<K, V> {
    return map instanceof VersionedMap ? map : VersionedMap.ofArrays([...map.keys()], [...map.values()]);
  }

  abstract readonly size: number;
  abstract get(key: K): V | undefined;
  abstract has(key: K): boolean;
  /** `before` is what is there now, if the caller has looked: looking is most of what it costs. */
  abstract with(key: K, value: V, before?: V): VersionedMap<K, V>;
  abstract without(key: K): VersionedMap<K, V>;
  /** Sets each key to its value, or removes it where that is undefined. The keys must differ. */
  abstract change(
    keys: readonly K[],
    values: readonly (V | undefined)[],
    before?: readonly (V | undefined)[],
  ): VersionedMap<K, V>;
  /** Fixed copies, in the same order: a table that another version takes meanwhile would lose and repeat entries. */
  abstract keyArray(): readonly K[];
  abstract valueArray(): readonly V[];

  entries(): MapIterator<[K, V]> {
    const values = this.valueArray();
    return this.keyArray()
      .map((key, at): [K, V] => [key, values[at]!])
      .values();
  }

  keys(): MapIterator<K> {
    return this.keyArray().values();
  }

  values(): MapIterator<V> {
    return this.valueArray().values();
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.entries();
  }

  forEach(visit: (value: V, key: K, map: ReadonlyMap<K, V>) => void): void {
    const [keys, values] = [this.keyArray(), this.valueArray()];
    for (let at = 0; at < keys.length; at++) visit(values[at]!, keys[at]!, this);
  }
}

class SmallMap<K, V> extends VersionedMap<K, V> {
  readonly #keys: readonly K[];
  readonly #values: readonly V[];

  constructor(keys: readonly K[], values: readonly V[]) {
    super();
    this.#keys = keys;
    this.#values = values;
  }

  get size(): number {
    return this.#keys.length;
  }

  #find(key: K): number {
    const keys = this.#keys;
    for (let at = 0; at < keys.length; at++) if (keys[at] === key) return at;
    return -1;
  }

  get(key: K): V | undefined {
    const at = this.#find(key);
    return at < 0 ? undefined : this.#values[at];
  }

  has(key: K): boolean {
    return this.#find(key) >= 0;
  }

  with(key: K, value: V): VersionedMap<K, V> {
    const at = this.#find(key);
    const values = this.#values.slice();
    if (at >= 0) {
      values[at] = value;
      return new SmallMap(this.#keys, values);
    }
    const keys = this.#keys.slice();
    keys.push(key);
    values.push(value);
    return VersionedMap.ofArrays(keys, values);
  }

  without(key: K): VersionedMap<K, V> {
    const at = this.#find(key);
    if (at < 0) return this;
    return VersionedMap.ofArrays(this.#keys.toSpliced(at, 1), this.#values.toSpliced(at, 1));
  }

  change(keys: readonly K[], values: readonly (V | undefined)[]): VersionedMap<K, V> {
    if (keys.length === 0) return this;
    if (keys.length === 1) return values[0] === undefined ? this.without(keys[0]!) : this.with(keys[0]!, values[0]);
    if (this.size + keys.length > SMALL_MAX)
      return new TableMap<K, V>(undefined, this.#keys, this.#values).change(keys, values);
    const [newKeys, newValues] = [this.#keys.slice(), this.#values.slice()];
    for (let at = 0; at < keys.length; at++) {
      const index = newKeys.indexOf(keys[at]!);
      const value = values[at];
      if (value === undefined) {
        if (index < 0) continue;
        newKeys.splice(index, 1);
        newValues.splice(index, 1);
      } else if (index < 0) {
        newKeys.push(keys[at]!);
        newValues.push(value);
      } else newValues[index] = value;
    }
    return VersionedMap.ofArrays(newKeys, newValues);
  }

  keyArray(): readonly K[] {
    return this.#keys;
  }

  valueArray(): readonly V[] {
    return this.#values;
  }
}

const EMPTY: VersionedMap<never, never> = new SmallMap([], []);

interface Undo<K, V> {
  readonly keys: readonly K[];
  /** Undefined for a key that is to be removed. */
  readonly values: readonly (V | undefined)[];
}

/** Puts the values into the table, undefined for what is to be removed, and returns those that were there. */
function exchange<K, V>(
  table: Map<K, V>,
  keys: readonly K[],
  values: readonly (V | undefined)[],
  known?: readonly (V | undefined)[],
): readonly (V | undefined)[] {
  const before = known ?? keys.map(key => table.get(key));
  for (let at = 0; at < keys.length; at++) {
    const [key, value] = [keys[at]!, values[at]];
    if (value === undefined) table.delete(key);
    else table.set(key, value);
  }
  return before;
}

class TableMap<K, V> extends VersionedMap<K, V> {
  #table: Map<K, V> | undefined;
  /** Until somebody looks a key up: decoding and reading in order needs no table. */
  #keys: readonly K[] | undefined;
  #values: readonly V[] | undefined;
  /** The version that is one step nearer to the table, and what to change in it to get this one. */
  #next: TableMap<K, V> | undefined;
  #undo: Undo<K, V> | undefined;
  /** Changes since the table was made. */
  #depth = 0;

  constructor(table: Map<K, V> | undefined, keys?: readonly K[], values?: readonly V[]) {
    super();
    this.#table = table;
    this.#keys = keys;
    this.#values = values;
  }

  get size(): number {
    return this.#keys ? this.#keys.length : this.#ownTable().size;
  }

  get(key: K): V | undefined {
    return this.#ownTable().get(key);
  }

  has(key: K): boolean {
    return this.#ownTable().has(key);
  }

  with(key: K, value: V, before?: V): VersionedMap<K, V> {
    const table = this.#ownTable();
    if (this.#isFarApart(1)) return new TableMap(new Map(table).set(key, value));
    const undo = {keys: [key], values: [before ?? table.get(key)]};
    table.set(key, value);
    return this.#handOn(table, undo, 1);
  }

  without(key: K): VersionedMap<K, V> {
    return this.has(key) ? this.change([key], [undefined]) : this;
  }

  change(
    keys: readonly K[],
    values: readonly (V | undefined)[],
    known?: readonly (V | undefined)[],
  ): VersionedMap<K, V> {
    if (keys.length === 0) return this;
    let table = this.#ownTable();
    const copied = this.#isFarApart(keys.length);
    if (copied) table = new Map(table);
    const before = exchange(table, keys, values, known);
    return copied ? new TableMap(table) : this.#handOn(table, {keys, values: before}, keys.length);
  }

  keyArray(): readonly K[] {
    return this.#keys ?? [...this.#ownTable().keys()];
  }

  valueArray(): readonly V[] {
    return this.#values ?? [...this.#ownTable().values()];
  }

  #isFarApart(changes: number): boolean {
    return this.#depth + changes > CHANGES_PER_ENTRY_MAX * (this.#table!.size + SMALL_MAX);
  }

  /** Makes the version that owns the table from now on. */
  #handOn(table: Map<K, V>, undo: Undo<K, V>, changes: number): VersionedMap<K, V> {
    const newest = new TableMap<K, V>(table);
    newest.#depth = this.#depth + changes;
    this.#table = undefined;
    this.#next = newest;
    this.#undo = undo;
    return newest;
  }

  /** The table as this version has it, moved here if it is elsewhere. */
  #ownTable(): Map<K, V> {
    if (this.#table) return this.#table;
    if (this.#keys) return this.#buildTable(this.#keys);
    const path: TableMap<K, V>[] = [this];
    let version = this.#next!;
    for (; !version.#table && !version.#keys; version = version.#next!) path.push(version);
    version.#ownTable();
    for (let at = path.length - 1; at >= 0; at--) path[at]!.#takeTable();
    return this.#table!;
  }

  #buildTable(keys: readonly K[]): Map<K, V> {
    const table = new Map<K, V>();
    for (let at = 0; at < keys.length; at++) table.set(keys[at]!, this.#values![at]!);
    this.#table = table;
    this.#keys = undefined;
    this.#values = undefined;
    return table;
  }

  #takeTable(): void {
    const owner = this.#next!;
    const table = owner.#table!;
    const {keys, values} = this.#undo!;
    owner.#undo = {keys, values: exchange(table, keys, values)};
    owner.#table = undefined;
    owner.#next = this;
    this.#table = table;
    this.#next = undefined;
    this.#undo = undefined;
  }
}
