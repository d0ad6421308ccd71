// A replica in memory: a document, the clock that stamps its events, and what it takes to bring others up to date. It does
// no I/O. The actor has its own around the same document, with a log on disk.
import {type EventHead, internId} from './codec.ts';
import {
  type Delta,
  decodeDocument,
  type Document,
  EMPTY_DOCUMENT,
  encodeChanges,
  encodeState,
  type EventDelta,
  join,
  MissingEvents,
  type Shape,
} from './document.ts';
import type {ReplicaId} from './dot.ts';
import {Draft} from './draft.ts';
import {EPOCH, type HybridTime, isBeyondDrift, observe, tick} from './hybrid-clock.ts';
import {contentsOf, gather, isOnePlace, type Places, RememberedPlaces} from './remembered.ts';
import {StreamDecoder, StreamEncoder} from './stream.ts';
import {before, counterOf, coversVector, EMPTY_VECTOR, type VersionVector} from './version-vector.ts';
import {VersionedMap} from './versioned-map.ts';

/** Deltas from the future that a replica keeps until they are due. One that is dropped is not acknowledged: it comes again. */
export const QUARANTINED_MAX = 64;

/**
 * Others hold events of this replica's id that it does not: it was restored or cloned. Its next event would bear the name of
 * another one. Go on with a new id, from what the others have.
 */
export class ReplicaSuperseded extends Error {
  override readonly name = 'ReplicaSuperseded';
}

const NONE: readonly never[] = [];

export interface ReplicaOptions {
  readonly id: ReplicaId;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly document?: Document;
  /** Called with each own event: what a log or a history keeps. Making the event costs extra, so it is left out else. */
  readonly onEvent?: (event: EventDelta) => void;
}

export class Replica {
  readonly id: ReplicaId;
  readonly shape: Shape;
  readonly #now: () => number;
  readonly #onEvent: ((event: EventDelta) => void) | undefined;
  #document: Document;
  #time: HybridTime;
  #lastHeard: VersionVector = EMPTY_VECTOR;
  /** Own places since the last flush. */
  #unflushed: Map<string, unknown> | undefined;
  #flushed: number;
  /** What the document covered when this replica was opened. */
  readonly #opened: VersionVector;
  #rememberedPlaces: RememberedPlaces | undefined;
  #quarantined: readonly (Document | Delta)[] = NONE;
  #stream: StreamEncoder | undefined;

  constructor(shape: Shape, {id, now, document = EMPTY_DOCUMENT, onEvent}: ReplicaOptions) {
    this.shape = shape;
    this.id = internId(id);
    this.#now = now;
    this.#onEvent = onEvent;
    this.#document = document;
    this.#time = observe(EPOCH, document.latest, now());
    this.#flushed = counterOf(document.vector, id);
    this.#opened = document.vector;
  }

  /** Made when it is first needed, as the stream is: most replicas that are open only read. */
  get #remembered(): RememberedPlaces {
    return (this.#rememberedPlaces ??= new RememberedPlaces(this.shape, this.#opened));
  }

  get document(): Document {
    return this.#document;
  }

  get version(): VersionVector {
    return this.#document.vector;
  }

  /** Runs a command as one event. What it throws leaves nothing behind; false when it changed nothing. */
  edit(command: (draft: Draft) => void): boolean {
    const nowMs = this.#now();
    if (this.#quarantined.length > 0) this.#release(nowMs);
    const head: EventHead = {
      replica: this.id,
      counter: counterOf(this.#document.vector, this.id) + 1,
      time: tick(this.#time, nowMs),
    };
    const draft = new Draft(this.shape, this.#document, this.#onEvent ? {...head, lastHeard: this.#lastHeard} : head);
    command(draft);
    const changes = draft.changes();
    if (changes.length === 0) return false;
    if (this.#onEvent) this.#onEvent(draft.finish()!);
    this.#document = draft.document(changes);
    this.#time = head.time;
    this.#lastHeard = this.#document.vector;
    this.#unflushed ??= new Map();
    for (const {name, places} of changes) {
      const all = gather(this.shape, this.#unflushed, name, places);
      this.#remembered.add(this.id, head.counter, name, isOnePlace(all) ? all : places);
    }
    return true;
  }

  /** The own events since the last flush as the next frame of this replica's stream; undefined when there are none. */
  flush(): Uint8Array | undefined {
    const delta = this.takeDelta();
    return delta && (this.#stream ??= new StreamEncoder(this.shape, this.id)).encode(delta);
  }

  /** The same for whoever encodes it otherwise. */
  takeDelta(): Delta | undefined {
    const {vector} = this.#document;
    if (!this.#unflushed) return undefined;
    const since = before(vector, {replica: this.id, counter: this.#flushed + 1});
    const delta = this.#deltaOf(this.#unflushed, since);
    this.#unflushed = undefined;
    this.#flushed = counterOf(vector, this.id);
    return delta;
  }

  #deltaOf(places: Places, since: VersionVector): Delta {
    const {vector, latest} = this.#document;
    const fields = contentsOf(this.shape, this.#document, places);
    return {fields, opaque: EMPTY_DOCUMENT.opaque, vector, since, latest};
  }

  /** What a replica at `version` lacks, as a delta, or as the whole state when it lacks more than is remembered. */
  changesSince(version: VersionVector): Uint8Array {
    const {opaque, vector} = this.#document;
    const places = this.#remembered.since(version);
    // Unknown fields are kept by event, and nobody can tell here which of them a version has.
    if (opaque.size > 0 || !places) return this.snapshot();
    const since = new Map([...vector].map(([id, counter]) => [id, Math.min(counter, counterOf(version, id))] as const));
    for (const [id, counter] of since) if (counter === 0) since.delete(id);
    return encodeChanges(this.shape, this.#deltaOf(places, since));
  }

  /** Joins what `changesSince` or `snapshot` of another replica made. Throws DecodeError and MissingEvents. */
  receive(bytes: Uint8Array): 'joined' | 'known' | 'quarantined' {
    return this.apply(decodeDocument(this.shape, bytes));
  }

  /**
   * Joins a delta or a state. One that is stamped further ahead than clocks may drift waits outside until its time has come:
   * it would win over everything that is written until then. Throws MissingEvents and ReplicaSuperseded, and then nothing has
   * changed.
   */
  apply(delta: Document | Delta): 'joined' | 'known' | 'quarantined' {
    const nowMs = this.#now();
    if (this.#quarantined.length > 0) this.#release(nowMs);
    if (!isBeyondDrift(delta.latest, nowMs)) return this.#join(delta, nowMs);
    if (coversVector(this.#document.vector, delta.vector)) return 'known';
    if (this.#quarantined.length === QUARANTINED_MAX) this.#quarantined = this.#quarantined.slice(1);
    this.#quarantined = [...this.#quarantined, delta];
    return 'quarantined';
  }

  /** How many wait for their time. */
  get quarantined(): number {
    return this.#quarantined.length;
  }

  #release(nowMs: number): void {
    const due = this.#quarantined.filter(({latest}) => !isBeyondDrift(latest, nowMs));
    if (due.length === 0) return;
    this.#quarantined = this.#quarantined.filter(delta => !due.includes(delta));
    for (const delta of due)
      try {
        this.#join(delta, nowMs);
      } catch (error) {
        // What it builds on was dropped; neither is acknowledged, so both come again.
        if (!(error instanceof MissingEvents)) throw error;
      }
  }

  #join(delta: Document | Delta, nowMs: number): 'joined' | 'known' {
    if (counterOf(delta.vector, this.id) > counterOf(this.#document.vector, this.id))
      throw new ReplicaSuperseded('others have seen events of this id that this replica has not');
    const joined = join(this.shape, this.#document, delta);
    if (joined === this.#document) return 'known';
    if ('since' in delta) this.#rememberEvents(delta);
    else this.#remembered.forget(joined.vector); // A whole state does not say where it differs.
    this.#document = joined;
    this.#time = observe(this.#time, delta.latest, nowMs);
    return 'joined';
  }

  #rememberEvents(delta: Delta): void {
    const vector = VersionedMap.of(delta.vector);
    const fields = VersionedMap.of(delta.fields);
    const [replicas, counters] = [vector.keyArray(), vector.valueArray()];
    const [names, places] = [fields.keyArray(), fields.valueArray()];
    for (let at = 0; at < replicas.length; at++) {
      const [replica, counter] = [replicas[at]!, counters[at]!];
      if (counter <= counterOf(this.#document.vector, replica)) continue;
      for (let field = 0; field < names.length; field++)
        this.#remembered.add(replica, counter, names[field]!, places[field]);
    }
  }

  snapshot(): Uint8Array {
    return encodeState(this.shape, this.#document);
  }

  /** A reader for the frames that another replica flushes; a frame may lie behind something else in its message. */
  listen(): (message: Uint8Array, at?: number) => 'joined' | 'known' | 'quarantined' {
    const decoder = new StreamDecoder(this.shape);
    return (message, at) => this.apply(decoder.decode(message, at));
  }

  /** Starts the stream anew, for a connection that was made anew. Events that were not flushed yet are in its first frame. */
  restartStream(): void {
    this.#stream = undefined;
  }
}
