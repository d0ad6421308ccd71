// Where the newest events wrote, so that whoever was away gets those places and not the whole state. What they wrote is in the
// state; here are its addresses.
import type {Document, Shape} from './document.ts';
import type {ReplicaId} from './dot.ts';
import {counterOf, coversVector, type VersionVector} from './version-vector.ts';
import {VersionedMap} from './versioned-map.ts';

/** Newest writes whose places are remembered at least; whoever has missed more gets the whole state. */
export const REMEMBERED_EVENTS = 1_024;

/** Partial states that list what was written to, by field. */
export type Places = ReadonlyMap<string, unknown>;

export class RememberedPlaces {
  readonly #shape: Shape;
  // Side by side, since one object for each event would be most of the memory that a busy replica takes.
  #replicas: ReplicaId[] = [];
  #counters: number[] = [];
  #names: string[] = [];
  #places: unknown[] = [];
  /** What a version must cover for all that it lacks to be remembered. */
  #forgotten: VersionVector;

  constructor(shape: Shape, forgotten: VersionVector) {
    this.#shape = shape;
    this.#forgotten = forgotten;
  }

  /** Events up to the counter-th of `replica` wrote to these places of one field. */
  add(replica: ReplicaId, counter: number, name: string, places: unknown): void {
    this.#replicas.push(replica);
    this.#counters.push(counter);
    this.#names.push(name);
    this.#places.push(places);
    if (this.#replicas.length === 2 * REMEMBERED_EVENTS) this.#forgetHalf();
  }

  /** Nothing is known any more of where a document of this vector differs from earlier ones. */
  forget(vector: VersionVector): void {
    this.#forgotten = vector;
  }

  #forgetHalf(): void {
    const forgotten = new Map(this.#forgotten);
    const counters = this.#counters.splice(0, REMEMBERED_EVENTS);
    for (const [at, replica] of this.#replicas.splice(0, REMEMBERED_EVENTS).entries())
      forgotten.set(replica, Math.max(counters[at]!, counterOf(this.#forgotten, replica)));
    this.#names.splice(0, REMEMBERED_EVENTS);
    this.#places.splice(0, REMEMBERED_EVENTS);
    this.#forgotten = forgotten;
  }

  /** Every place that was written to by an event that the version lacks; undefined where that is not known any more. */
  since(version: VersionVector): Places | undefined {
    if (!coversVector(version, this.#forgotten)) return undefined;
    const places = new Map<string, unknown>();
    for (let at = 0; at < this.#replicas.length; at++)
      if (counterOf(version, this.#replicas[at]!) < this.#counters[at]!)
        gather(this.#shape, places, this.#names[at]!, this.#places[at]);
    return places;
  }
}

/** Adds places of one field to others, and returns all of that field. */
export function gather(shape: Shape, into: Map<string, unknown>, name: string, places: unknown): unknown {
  const known = into.get(name);
  const all: unknown = known === undefined ? places : shape.get(name)!.touch(known, places);
  if (all !== known) into.set(name, all);
  return all;
}

/** Whether the places are one: then who wrote there again needs no list of its own. */
export const isOnePlace = (places: unknown): boolean =>
  places instanceof VersionedMap ? places.size === 1 : Array.isArray(places);

/** What a document holds at the places, as partial states in order of their fields. */
export function contentsOf(shape: Shape, {fields}: Document, places: Places): ReadonlyMap<string, unknown> {
  const names = [...places.keys()];
  if (names.length > 1) names.sort();
  const content = (name: string): unknown => {
    const type = shape.get(name)!;
    return type.project(fields.get(name) ?? type.empty, places.get(name));
  };
  return VersionedMap.ofArrays(names, names.map(content));
}
