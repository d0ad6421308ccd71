// An entity without storage, for tests of commands and edits: each event is joined into the document at once.
import type {EventHead} from '../../crdt/codec.ts';
import {type Document, documentOf, EMPTY_DOCUMENT, type EventDelta, join} from '../../crdt/document.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import {Refusal} from '../../crdt/refusal.ts';
import {type EntityType, type Fields, runCommand, runPatch, viewOf} from '../../schema/entity-type.ts';
import {IDS} from './mesh-arbitraries.ts';

export class Subject<F extends Fields> {
  readonly type: EntityType<F>;
  document: Document = EMPTY_DOCUMENT;
  #events = 0;

  constructor(type: EntityType<F>) {
    this.type = type;
  }

  get view() {
    return viewOf(this.type, this.document);
  }

  command(name: string, input: unknown): EventDelta | undefined {
    return this.#keep(head => runCommand(this.type, this.document, head, name, input));
  }

  patch(edits: unknown): EventDelta | undefined {
    return this.#keep(head => runPatch(this.type, this.document, head, edits));
  }

  #keep(run: (head: EventHead) => EventDelta | undefined): EventDelta | undefined {
    const replica: ReplicaId = IDS[0];
    const delta = run({replica, counter: this.#events + 1, time: {ms: 1_000 + this.#events, logical: 0}});
    if (!delta) return undefined;
    this.#events++;
    this.document = join(this.type.shape, this.document, documentOf(delta));
    return delta;
  }
}

/** The code with which `run` is refused; undefined when it is not. */
export function codeOf(run: () => unknown): string | undefined {
  return refusalOf(run)?.code;
}

export function refusalOf(run: () => unknown): Refusal | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
}
