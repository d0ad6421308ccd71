// This project's own core, as a user without the platform would use it: one command for each edit, one stream from each
// replica to its peers.
import * as awSet from '../../../crdt/aw-set.ts';
import {Reader, Writer} from '../../../crdt/bytes.ts';
import {decodeVector, encodeVector} from '../../../crdt/codec.ts';
import type {CrdtType} from '../../../crdt/crdt-type.ts';
import {decodeState, EMPTY_DOCUMENT, fieldState, type Shape} from '../../../crdt/document.ts';
import type {ReplicaId} from '../../../crdt/dot.ts';
import * as maps from '../../../crdt/or-map.ts';
import * as counters from '../../../crdt/pn-counter.ts';
import * as registers from '../../../crdt/registers.ts';
import {Replica} from '../../../crdt/replica.ts';
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
import {createRandom} from '../random.ts';
import {drawItem} from '../workloads/inventory.ts';

/** Ids as long and as different from each other as real ones, and the same in every run. */
const idOf = (replica: number): ReplicaId =>
  (((replica + 1) * 0x9e3779b1) >>> 0).toString(16).padStart(8, '0').repeat(2) as ReplicaId;

/** In place of a sender: an answer to a version, which belongs to no stream. */
const ANSWER = 255;

abstract class SangamReplica {
  protected readonly replica: Replica;
  readonly #number: number;
  /** By sender: frames name theirs only in the first one. */
  readonly #streams: ((message: Uint8Array, at: number) => void)[] = [];

  constructor(shape: Shape, number: number, snapshot?: Uint8Array) {
    const document = snapshot ? decodeState(shape, snapshot) : EMPTY_DOCUMENT;
    this.#number = number;
    this.replica = new Replica(shape, {id: idOf(number), now: Date.now, document});
  }
  protected state<S>(field: string): S {
    return fieldState(this.replica.document, field, this.replica.shape.get(field)! as CrdtType<S>);
  }
  batch(edits: () => void): void {
    edits();
  }
  /** A connection knows who is at its other end; here one byte says it. */
  flush(): Uint8Array {
    const frame = this.replica.flush()!;
    const bytes = new Uint8Array(frame.length + 1);
    bytes[0] = this.#number;
    bytes.set(frame, 1);
    return bytes;
  }
  receive(bytes: Uint8Array): void {
    const sender = bytes[0]!;
    if (sender === ANSWER) this.replica.receive(bytes.subarray(1));
    else (this.#streams[sender] ??= this.replica.listen())(bytes, 1);
  }
  snapshot(): Uint8Array {
    return this.replica.snapshot();
  }
  version(): Uint8Array {
    const writer = new Writer();
    encodeVector(writer, this.replica.version);
    return writer.finish();
  }
  changesSince(version: Uint8Array): Uint8Array {
    const changes = this.replica.changesSince(decodeVector(new Reader(version)));
    return Uint8Array.of(ANSWER, ...changes);
  }
}

class SangamCounters extends SangamReplica implements CounterReplica {
  increment(counter: string, by: number): void {
    this.replica.edit(draft => draft.write(counter, counters.increment(draft.state(counter), draft.replica, by)));
  }
  view(): Readonly<Record<string, number>> {
    const names = [...this.replica.shape.keys()];
    return Object.fromEntries(names.map(name => [name, Number(counters.value(this.state(name)))]));
  }
}

const mapType = maps.orMap(registers.lwwRegister);
const MAP: Shape = new Map([['map', mapType]]);

class SangamMap extends SangamReplica implements MapReplica {
  set(key: string, value: Scalar): void {
    this.replica.edit(draft =>
      draft.write(
        'map',
        maps.update(registers.lwwRegister, draft.state('map'), draft, key, held => registers.set(held, draft, value)),
      ),
    );
  }
  get(key: string): Scalar | undefined {
    const register = maps.get(registers.lwwRegister, this.state<maps.ORMap<registers.Register>>('map'), key);
    return register && (registers.latest(register) as Scalar);
  }
  *entries(): Iterable<readonly [string, Scalar]> {
    for (const [key, {value}] of this.state<maps.ORMap<registers.Register>>('map'))
      yield [key, registers.latest(value) as Scalar];
  }
}

const SET: Shape = new Map([['set', awSet.awSet]]);

class SangamSet extends SangamReplica implements SetReplica {
  add(element: string): void {
    this.replica.edit(draft => draft.write('set', awSet.add(draft.state('set'), draft, element)));
  }
  remove(element: string): void {
    this.replica.edit(draft => draft.write('set', awSet.remove(draft.state('set'), element)));
  }
  elements(): Iterable<string> {
    return awSet.elements(this.state('set'));
  }
}

const ENTITY: Shape = new Map(
  Object.keys(drawItem(createRandom(0), 0)).map(name => [
    name,
    COUNTER_FIELDS.includes(name) ? counters.pnCounter : registers.lwwRegister,
  ]),
);

class SangamEntity extends SangamReplica implements EntityReplica {
  set(field: string, value: Scalar): void {
    this.replica.edit(draft => draft.write(field, registers.set(draft.state(field), draft, value)));
  }
  increment(field: string, by: number): void {
    this.replica.edit(draft => draft.write(field, counters.increment(draft.state(field), draft.replica, by)));
  }
  get(field: string): Scalar | undefined {
    if (COUNTER_FIELDS.includes(field)) return Number(counters.value(this.state(field)));
    return registers.latest(this.state(field)) as Scalar | undefined;
  }
  view(): EntityContent {
    return Object.fromEntries([...ENTITY.keys()].map(name => [name, this.get(name)!]));
  }
  /** One command makes the entity. */
  fill(content: EntityContent): this {
    this.replica.edit(draft => {
      for (const [name, value] of Object.entries(content))
        if (COUNTER_FIELDS.includes(name))
          draft.write(name, counters.increment(draft.state(name), draft.replica, value as number));
        else draft.write(name, registers.set(draft.state(name), draft, value));
    });
    return this;
  }
}

export const subject: Subject = {
  name: 'sangam',
  kind: 'library',
  sets: 'add wins',
  notes: {W1: 'sangam: pnCounter fields', W2: 'sangam: orMap of lwwRegister', W3: 'sangam: awSet, true add-wins'},
  createCounters: (replica, names) =>
    new SangamCounters(new Map(names.map(name => [name, counters.pnCounter])), replica),
  createMap: replica => new SangamMap(MAP, replica),
  openMap: (replica, snapshot) => new SangamMap(MAP, replica, snapshot),
  createSet: replica => new SangamSet(SET, replica),
  createEntity: (replica, initial) => new SangamEntity(ENTITY, replica).fill(initial),
  openEntity: (replica, snapshot) => new SangamEntity(ENTITY, replica, snapshot),
};
