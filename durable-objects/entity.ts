// One open replica: its state in memory, and what is done with it in one synchronous step each. Every change is on disk
// before it is in memory; what has to go out afterwards is returned as effects.
import {createHash} from 'node:crypto';
import * as bounded from '../crdt/bounded-counter.ts';
import {toHex, Writer} from '../crdt/bytes.ts';
import {
  type Document,
  documentOf,
  EMPTY_DOCUMENT,
  type EventDelta,
  fieldState,
  join,
  MissingEvents,
  type Shape,
} from '../crdt/document.ts';
import {Draft, type DraftHead} from '../crdt/draft.ts';
import {type Dot, REPLICA_ID_BYTES, type ReplicaId} from '../crdt/dot.ts';
import * as awSet from '../crdt/aw-set.ts';
import type {Exact} from '../crdt/exact.ts';
import {EPOCH, type HybridTime, observe, tick} from '../crdt/hybrid-clock.ts';
import {encodeJson, type JsonValue} from '../crdt/json-value.ts';
import {Refusal} from '../crdt/refusal.ts';
import {counterOf, coversVector, type VersionVector} from '../crdt/version-vector.ts';
import {
  decodeEntry,
  encodeEntry,
  type EntryHead,
  FINGERPRINT_BYTES,
  type IdempotencyMark,
  JOIN,
  TRANSFER,
} from '../mesh/entry.ts';
import {granted, type Request, requests} from '../mesh/escrow.ts';
import {admit, type Frame, FRAME_ENTRIES_BYTES_MAX, knownOf, schemaHash, selectSome, sinceOf} from '../mesh/frame.ts';
import {memberElement, MEMBERS, members} from '../mesh/membership.ts';
import {
  createReplica,
  type Effect,
  type Replica,
  type ReplicaEvent,
  reopenReplica,
  step,
  type Surroundings,
} from '../mesh/replica.ts';
import type {EntityType} from '../schema/entity-type.ts';
import {isProblemCode, PROBLEMS} from '../schema/problem.ts';
import {
  CHECKPOINT_ROWS,
  digestOf,
  type EntityStore,
  type Identity,
  type LogEnd,
  type Mark,
  MARKED_ROWS_MAX,
  markOf,
  type Stored,
} from './entity-store.ts';

/** A log entry that a frame brought, decoded and admitted but not yet kept. */
export interface Admitted {
  readonly document: Document;
  readonly entries: readonly {readonly head: EntryHead; readonly bytes: Uint8Array}[];
  readonly known: VersionVector;
}

/** Decodes a frame's entries against `base`. Throws DecodeError; undefined when something they depend on is missing. */
export function admitFrame(shape: Shape, base: Document, frame: Frame): Admitted | undefined {
  const decoded = frame.entries.map(bytes => ({...decodeEntry(shape, bytes), bytes}));
  const dots = decoded.map(({head}) => head);
  const admission = admit(base.vector, frame.since, dots);
  if (admission.type === 'gap') return undefined;
  const entries = admission.fresh.map(index => decoded[index]!);
  try {
    const document = entries.reduce((joined, entry) => join(shape, joined, entry.document), base);
    return {document, entries, known: knownOf(frame.since, dots)};
  } catch (error) {
    // Entries say themselves what they build on, should the frame have said less.
    if (error instanceof MissingEvents) return undefined;
    throw error;
  }
}

/** More own entries than this are found from the front of the log, page by page, instead of from its end. */
const OWN_TAIL_MAX = 256;

export class Entity {
  readonly identity: Identity;
  readonly type: EntityType;
  readonly #store: EntityStore;
  #document: Document;
  #time: HybridTime;
  #end: LogEnd;
  #marks: Map<string, Mark>;
  #registered: boolean;
  #mesh: Replica;
  /** What the state rows hold; undefined when they are to be written anew. */
  #checkpoint: {readonly seq: number; readonly document: Document | undefined};
  #freshMarks: Mark[] = [];
  /** What was covered at the last own event; not known again after opening, and then that event's list is longer. */
  #lastHeard: VersionVector | undefined;
  /** Log positions up to which a peer covers everything, if it covers what it did when that was found. */
  readonly #cursors = new Map<string, {readonly cover: VersionVector; readonly seq: number}>();
  #digest: {readonly of: Document; readonly hex: string} | undefined;

  private constructor(store: EntityStore, type: EntityType, stored: Stored, mesh: Replica) {
    this.#store = store;
    this.type = type;
    this.identity = stored.identity;
    this.#document = stored.document;
    this.#time = stored.time;
    this.#end = stored.end;
    this.#marks = new Map(stored.marks.map(mark => [mark.key, mark]));
    this.#registered = stored.registered;
    this.#mesh = mesh;
    this.#checkpoint = stored.checkpoint ?? {seq: 0, document: undefined};
    this.#freshMarks = stored.marks.slice(stored.marks.length - stored.tailMarks);
  }

  static open(store: EntityStore, type: EntityType, stored: Stored, armedAtMs: number | undefined): Entity {
    const {identity, document, permitted} = stored;
    const self = {
      region: identity.place.region,
      id: identity.replica,
      eager: type.replication === 'everywhere',
      vector: document.vector,
    };
    const regions = members(document).map(member => member.region);
    return new Entity(store, type, stored, reopenReplica(self, permitted, regions, armedAtMs));
  }

  /** Makes the storage and writes the replica's first event: that it is a member. Call it in a transaction. */
  static create(
    store: EntityStore,
    type: EntityType,
    identity: Identity,
    permitted: readonly string[],
    around: Surroundings,
  ): {entity: Entity; effects: readonly Effect[]} {
    const end = store.create(identity, permitted);
    const stored: Stored = {
      identity,
      permitted,
      registered: type.internal,
      document: EMPTY_DOCUMENT,
      time: EPOCH,
      marks: [],
      tailMarks: 0,
      end,
      checkpoint: undefined,
    };
    const {region} = identity.place;
    const self = {region, id: identity.replica, eager: type.replication === 'everywhere', vector: new Map()};
    const entity = new Entity(store, type, stored, createReplica(self, permitted));
    const joining = (head: DraftHead) => {
      const draft = new Draft(type.shape, EMPTY_DOCUMENT, head);
      const element = memberElement({region, replica: identity.replica});
      draft.write(MEMBERS, awSet.add(draft.state(MEMBERS), draft, element));
      return draft.finish();
    };
    return {entity, effects: entity.write(JOIN, undefined, joining, around).effects};
  }

  get document(): Document {
    return this.#document;
  }

  get vector(): VersionVector {
    return this.#document.vector;
  }

  get mesh(): Replica {
    return this.#mesh;
  }

  get logRows(): number {
    return this.#end.seq;
  }

  get digest(): string {
    if (this.#digest?.of !== this.#document)
      this.#digest = {of: this.#document, hex: digestOf(this.type.shape, this.#document)};
    return this.#digest.hex;
  }

  /** Whether the regional catalog knows this entity; the platform's own entities are in none. */
  get registered(): boolean {
    return this.#registered;
  }

  markRegistered(): void {
    this.#store.putRegistered();
    this.#registered = true;
  }

  permit(permitted: readonly string[], around: Surroundings): readonly Effect[] {
    const before = [...this.#mesh.peers.keys()];
    if (before.length === permitted.length && before.every((region, index) => region === permitted[index])) return [];
    this.#store.putPermitted(permitted);
    return this.advance({type: 'policy', permitted}, around);
  }

  /** Runs the replication step. */
  advance(event: ReplicaEvent, around: Surroundings): readonly Effect[] {
    const {replica, effects} = step(this.#mesh, event, around);
    this.#mesh = replica;
    return effects;
  }

  /** An alarm that this instance did not expect: it took all for acknowledged, and not all is. */
  unsettle(): void {
    const {region, id, eager, vector, peers} = this.#mesh;
    const regions = members(this.#document).map(member => member.region);
    this.#mesh = reopenReplica({region, id, eager, vector}, [...peers.keys()], regions, 0);
  }

  /** The event under this key, if one was seen. Refuses a key that was used for another request. */
  find(mark: IdempotencyMark): Dot | undefined {
    const known = this.#marks.get(mark.key);
    if (known && known.fingerprint !== toHex(mark.fingerprint))
      throw new Refusal('idempotency-key-reused', 'this Idempotency-Key was used for another request');
    return known?.dot;
  }

  /** Appends the event that `run` makes of its head; no event, no row. What `run` throws leaves nothing behind. */
  write(
    command: string,
    mark: IdempotencyMark | undefined,
    run: (head: DraftHead) => EventDelta | undefined,
    around: Surroundings,
  ): {dot: Dot | undefined; effects: readonly Effect[]} {
    const {replica} = this.identity;
    const time = tick(this.#time, Math.floor(around.nowMs));
    const head = {replica, counter: counterOf(this.vector, replica) + 1, time, lastHeard: this.#lastHeard};
    const delta = run(head);
    if (!delta) return {dot: undefined, effects: []};
    const entry = encodeEntry(this.type.shape, {...delta.head, command, ...(mark && {mark})}, delta);
    this.#end = this.#store.append(this.#end, entry);
    this.#time = time;
    this.#remember(head, mark);
    this.#document = join(this.type.shape, this.#document, documentOf(delta));
    this.#lastHeard = this.vector;
    return {dot: delta.head, effects: this.advance({type: 'wrote', vector: this.vector}, around)};
  }

  /** Keeps what a frame brought, all of it or nothing: call it in a transaction and drop the entity when that fails. */
  keep(frame: Frame, {document, entries, known}: Admitted, around: Surroundings): readonly Effect[] {
    let end = this.#end;
    for (const {bytes} of entries) end = this.#store.append(end, bytes);
    this.#end = end;
    for (const {head} of entries) {
      this.#time = observe(this.#time, head.time, Math.floor(around.nowMs));
      this.#remember(head, head.mark);
    }
    const membersChanged = this.#document.fields.get(MEMBERS) !== document.fields.get(MEMBERS);
    this.#document = document;
    const regions = membersChanged ? members(document).map(member => member.region) : [];
    const {from: region, pull, relay} = frame;
    const heard = this.advance({type: 'heard', region, vector: this.vector, known, pull, relay}, around);
    return regions.length > 0 ? [...heard, ...this.advance({type: 'members', regions}, around)] : heard;
  }

  #remember(dot: Dot, mark: IdempotencyMark | undefined): void {
    if (!mark) return;
    const known = markOf(dot, mark);
    this.#marks.set(mark.key, known);
    this.#freshMarks.push(known);
    if (this.#marks.size > MARKED_ROWS_MAX) this.#marks.delete(this.#marks.keys().next().value!);
  }

  /** What a `send` effect sends, read from the log as it is now. */
  frameFor(effect: Effect & {type: 'send'}, policyVersion: number): Frame {
    const {cover, relay, pull, unreached, to} = effect;
    const head = {
      policyVersion,
      schemaHash: schemaHash(this.type.shape),
      from: this.identity.place.region,
      relay: unreached,
      ...(pull && {pull: this.vector}),
    };
    const {replica} = this.identity;
    const own = counterOf(this.vector, replica) - counterOf(cover, replica);
    if (!relay && own <= OWN_TAIL_MAX) {
      const wanted = (dot: Dot) => dot.replica === replica && dot.counter > counterOf(cover, replica);
      return {...head, ...selectSome(this.#store.tail(replica, own), this.vector, wanted)};
    }
    return {...head, entries: this.#entriesBeyond(cover, to), since: sinceOf(cover, this.vector)};
  }

  /** Everything that `cover` lacks, in log order, as much as one frame takes. */
  #entriesBeyond(cover: VersionVector, region: string): readonly Uint8Array[] {
    const entries: Uint8Array[] = [];
    let bytes = 0;
    const kept = this.#cursors.get(region);
    let covered = kept && coversVector(cover, kept.cover) ? kept.seq : 0;
    for (const {seq, dot, bytes: entry} of this.#store.entriesAfter(covered)) {
      if (dot.counter <= counterOf(cover, dot.replica)) {
        if (entries.length === 0) covered = seq;
        continue;
      }
      bytes += entry.length + 4;
      if (bytes > FRAME_ENTRIES_BYTES_MAX && entries.length > 0) break;
      entries.push(entry);
    }
    this.#cursors.set(region, {cover, seq: covered});
    return entries;
  }

  isCheckpointDue(): boolean {
    // Opaque fields stay in the log until a build that knows them has read them from there.
    return this.#end.seq - this.#checkpoint.seq >= CHECKPOINT_ROWS && this.#document.opaque.size === 0;
  }

  /** Call it in a transaction. */
  writeCheckpoint(): void {
    const {document} = this.#checkpoint;
    this.#store.checkpoint(this.type.shape, document, this.#document, this.#end, this.#time, this.#freshMarks);
    this.#freshMarks = [];
    this.#checkpoint = {seq: this.#end.seq, document: this.#document};
  }

  // Escrow.

  boundedFields(): readonly string[] {
    return Object.entries(this.type.fields)
      .filter(([, field]) => field.type === bounded.boundedCounter)
      .map(([name]) => name);
  }

  rights(field: string): ReadonlyMap<ReplicaId, Exact> {
    return bounded.rights(fieldState(this.#document, field, bounded.boundedCounter));
  }

  /** Rights per region, as far as is known here. */
  rightsByRegion(field: string): Readonly<Record<string, Exact>> {
    const regions = new Map(members(this.#document).map(({replica, region}) => [replica, region]));
    return Object.fromEntries(
      [...this.rights(field)].map(([replica, amount]) => [regions.get(replica) ?? replica, amount]),
    );
  }

  requestsFor(field: string, needed: Exact): readonly (Request & {region: string})[] {
    const regions = new Map(members(this.#document).map(({replica, region}) => [replica, region]));
    return requests(this.rights(field), this.identity.replica, needed).flatMap(request => {
      const region = regions.get(request.donor);
      return region ? [{...request, region}] : [];
    });
  }

  /** Passes rights on, durably before anybody hears of it; returns how many. */
  grant(
    field: string,
    receiver: ReplicaId,
    request: Pick<Request, 'needed' | 'wanted'>,
    around: Surroundings,
  ): {amount: Exact; effects: readonly Effect[]} {
    const isMember = members(this.#document).some(member => member.replica === receiver);
    const state = fieldState(this.#document, field, bounded.boundedCounter);
    const amount = granted(bounded.rightsOf(state, this.identity.replica), request);
    // Rights passed to a replica that is not a member would be lost with it.
    if (!isMember || receiver === this.identity.replica || amount <= 0) return {amount: 0, effects: []};
    const run = (head: DraftHead) => {
      const draft = new Draft(this.type.shape, this.#document, head);
      draft.write(field, bounded.transfer(state, draft.replica, receiver, amount));
      return draft.finish();
    };
    return {amount, effects: this.write(TRANSFER, undefined, run, around).effects};
  }
}

/**
 * Tries a command as the first thing that happens to an entity. Throws what it is refused with whatever the state; returns
 * the refusal where it conflicts with there being none yet, so that it depends on what other regions hold; a command that
 * would change nothing depends on that as well.
 */
export function tryFirst(
  type: EntityType,
  command: string,
  mark: IdempotencyMark | undefined,
  run: (base: Document, head: DraftHead) => EventDelta | undefined,
): Refusal | undefined {
  const head = {replica: '0'.repeat(2 * REPLICA_ID_BYTES) as ReplicaId, counter: 1, time: EPOCH};
  try {
    const delta = run(EMPTY_DOCUMENT, head);
    if (!delta) return new Refusal('not-found', 'it would change nothing, and there is nothing here yet');
    encodeEntry(type.shape, {...head, command, ...(mark && {mark})}, delta);
    return undefined;
  } catch (error) {
    if (error instanceof Refusal && isProblemCode(error.code) && PROBLEMS[error.code].status === 409) return error;
    throw error;
  }
}

/** Of a request's name and input, so that a reused key with another request is noticed. */
export function markFor(key: string, command: string, input: unknown): IdempotencyMark {
  const writer = new Writer();
  writer.string(command);
  encodeJson(writer, input as JsonValue);
  const hash = createHash('sha256').update(writer.finish()).digest();
  return {key, fingerprint: new Uint8Array(hash.subarray(0, FINGERPRINT_BYTES))};
}
