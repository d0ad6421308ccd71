// Histories in which one command is executed twice, by two replicas that do not know of each other, and one of the two events
// is taken back by its author.
import fc from 'fast-check';
import {type Delta, type Document, EMPTY_DOCUMENT, type EventDelta, join, type Shape} from '../../crdt/document.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import {Draft} from '../../crdt/draft.ts';
import type {HybridTime} from '../../crdt/hybrid-clock.ts';
import {Refusal} from '../../crdt/refusal.ts';
import {amountsOf, undo, type VoidEvent} from '../../crdt/undo.ts';
import {counterOf} from '../../crdt/version-vector.ts';
import {decodedDelta, encodedDelta, scriptOf, shapeOf, type Step, type Subjects} from './crdt-scripts.ts';
import {deepFreeze} from './deep-freeze.ts';
import type {Write} from './models.ts';
import {REPLICAS} from './subjects.ts';

export interface Twice {
  readonly before: readonly Step[];
  /** What both replicas execute. */
  readonly command: Step['writes'];
  readonly times: readonly [HybridTime, HybridTime];
  readonly after: readonly Step[];
}

export function twiceOf(subjects: Subjects): fc.Arbitrary<Twice> {
  const time = fc.record({ms: fc.nat(2), logical: fc.nat(1)});
  const one = scriptOf(subjects, 1).filter(script => script.length === 1);
  return fc.record({
    before: scriptOf(subjects, 4),
    command: one.map(([step]) => step!.writes),
    times: fc.tuple(time, time),
    after: scriptOf(subjects, 5),
  });
}

interface Done {
  readonly field: string;
  readonly write: Write<unknown>;
}

/** An event, and what its author keeps to take it back. */
export interface Made {
  readonly event: EventDelta;
  readonly received: Delta;
  readonly amounts: Uint8Array | undefined;
  readonly ids: readonly number[];
}

export class World {
  readonly shape: Shape;
  readonly done: Done[] = [];
  /** Every event there is, as it came over the wire. */
  readonly deltas: Delta[] = [];
  readonly #subjects: Subjects;
  readonly #documents = new Map<ReplicaId, Document>();
  readonly #seen = new Map<ReplicaId, ReadonlySet<number>>();
  #ids = 0;

  constructor(subjects: Subjects) {
    this.#subjects = subjects;
    this.shape = shapeOf(subjects);
  }

  documentOf(replica: ReplicaId): Document {
    return this.#documents.get(replica) ?? EMPTY_DOCUMENT;
  }

  hear(replica: ReplicaId, other: ReplicaId): void {
    this.#documents.set(replica, deepFreeze(join(this.shape, this.documentOf(replica), this.documentOf(other))));
    this.#seen.set(replica, new Set([...(this.#seen.get(replica) ?? []), ...(this.#seen.get(other) ?? [])]));
  }

  play(script: readonly Step[]): void {
    for (const {replica, hears, time, writes} of script) {
      if (hears) this.hear(replica, hears);
      this.act(replica, time, writes);
    }
  }

  act(replica: ReplicaId, time: HybridTime, writes: Step['writes']): Made | undefined {
    const seen = new Set(this.#seen.get(replica));
    const ids: number[] = [];
    const made = this.commit(replica, time, draft => {
      const {counter} = draft.tag(); // Spent, which no reading shows.
      for (const {field, command} of writes) {
        try {
          draft.write(field, this.#subjects.get(field)!.write(draft.state(field), draft, command));
        } catch (error) {
          if (error instanceof Refusal) continue;
          throw error;
        }
        const id = this.#ids++;
        this.done.push({field, write: {id, command, replica, counter, time, seen: new Set(seen)}});
        seen.add(id);
        ids.push(id);
      }
    });
    this.#seen.set(replica, seen);
    return made && {...made, ids};
  }

  /** Throws what `undo` throws; then nothing has changed. */
  undo({event, received, amounts}: Made, time: HybridTime = event.head.time): Made | undefined {
    const made: VoidEvent = {head: event.head, fields: received.fields, amounts};
    return this.commit(event.head.replica, time, draft => undo(this.shape, draft, made));
  }

  /** One event, if the change makes one. Throws what the change throws; then nothing has changed. */
  protected commit(replica: ReplicaId, time: HybridTime, change: (draft: Draft) => void): Made | undefined {
    const before = this.documentOf(replica);
    const head = {replica, counter: counterOf(before.vector, replica) + 1, time};
    const draft = new Draft(this.shape, before, head);
    change(draft);
    const event = draft.finish();
    if (!event) return undefined;
    const received = deepFreeze(decodedDelta(this.shape, encodedDelta(this.shape, event), head));
    this.deltas.push(received);
    this.#documents.set(replica, deepFreeze(join(this.shape, before, received)));
    return {event, received, amounts: amountsOf(this.shape, before, event), ids: []};
  }

  /** What the field's model says of all writes but these. Rights that were passed on stay where they are. */
  without(field: string, ids: readonly number[]): unknown {
    const isVoid = ({id, command}: Write<unknown>) => ids.includes(id) && !isTransfer(command);
    const writes = this.done.filter(done => done.field === field && !isVoid(done.write));
    return this.#subjects.get(field)!.model(writes.map(({write}) => write));
  }
}

function isTransfer(command: unknown): boolean {
  if (typeof command !== 'object' || command === null || !('kind' in command)) return false;
  return typeof command.kind === 'string' && command.kind.startsWith('transfer');
}

/** Executes the command at the first two replicas, after they have heard of each other; the first one's event is void. */
export function executeTwice(world: World, {before, command, times}: Twice): Made | undefined {
  const [one, other] = REPLICAS;
  world.play(before);
  world.hear(one, other);
  world.hear(other, one);
  const made = world.act(one, times[0], command);
  world.act(other, times[1], command);
  return made;
}
