// The Durable Object around one replica. It performs: storage transactions, calls to peers, sockets, the one alarm. What is
// written, sent, answered and waited for is decided in mesh/, who may hold what in residency/, what a command does in schema/.
import {DurableObject} from 'cloudflare:workers';
import {toHex} from '../crdt/bytes.ts';
import {fieldState} from '../crdt/document.ts';
import type {ReplicaId} from '../crdt/dot.ts';
import {Refusal} from '../crdt/refusal.ts';
import {counterOf} from '../crdt/version-vector.ts';
import {decodeEntryHead} from '../mesh/entry.ts';
import {ReplicaHost} from '../mesh/host.ts';
import {previewOf} from '../mesh/intake.ts';
import type {FenceAnswer} from '../mesh/lease.ts';
import {DEFER_MS_MAX, Lanes} from '../mesh/lanes.ts';
import {members} from '../mesh/membership.ts';
import {
  decodeAnswer,
  decodeRequest,
  encodeAnswer,
  encodeRequest,
  type Request as PeerRequest,
} from '../mesh/message.ts';
import {blankReplica, type Effect, openReplica, type Replica, type ReplicaEvent} from '../mesh/replica.ts';
import {ReplicaDamaged, type StoreEffect} from '../mesh/store.ts';
import type {Done, Held, Outcome, Retirement} from '../mesh/turn.ts';
import {toBase64url, versionToken} from '../mesh/version-token.ts';
import type {Policy} from '../residency/policy.ts';
import type {
  Call,
  CommandOptions,
  CommandReply,
  Destination,
  EntityCalls,
  EntityReply,
  LeaveReply,
  LogReply,
  ReadOptions,
  ReplicaReport,
  Reply,
} from '../schema/calls.ts';
import {type EntityType, PATCH, runCommand, runPatch, viewOf} from '../schema/entity-type.ts';
import {toJson} from '../schema/json.ts';
import {decidePlace} from '../schema/placements-of.ts';
import {catalog, holder, tenantConfiguration} from '../schema/system-types.ts';
import {ClientSockets} from './client-sockets.ts';
import {damageOf} from './damage.ts';
import {regionsServing} from './directory.ts';
import {type Identity, EntityStore} from './entity-store.ts';
import {type Env, type Surroundings, surroundings} from './env.ts';
import {markFor} from './idempotency.ts';
import {kindOf} from './kind.ts';
import {type Links, PEER_CALL_MS_MAX, within} from './links.ts';
import {type Located, PeerCalls} from './peer-calls.ts';
import {policyReader} from './policy-reader.ts';
import {RegionalCatalog} from './regional-catalog.ts';
import {answer, authorise, levelOf, refusalOf, replyOf, reportOf, requestOf} from './replies.ts';

export const LOG_PAGE_ROWS_MAX = 500;
/** One for all actors of the process. */
const lanes = new Lanes();
/** No call to a fence next door takes this long while it lives. */
const FENCE_CALL_MS_MAX = 2_000;

/** A replica that was lost is looked for in the other regions at most so often. */
const RECOVER_AGAIN_MS = 5_000;

/** Rows that are about to be dropped from a log, for whoever keeps them elsewhere; what it throws is logged, and they go. */
export type Archive = (
  call: Destination,
  rows: readonly {readonly seq: number; readonly entry: Uint8Array}[],
) => Promise<void>;

export interface ActorOptions {
  readonly types: ReadonlyMap<string, EntityType>;
  readonly links: Links;
  readonly archive?: Archive | undefined;
}

export type EntityActorClass = new (ctx: DurableObjectState, env: Env) => DurableObject<Env> & EntityCalls;

/** Effects that end with the step that asked for them. */
type Performed = Exclude<Effect, StoreEffect>;

export const createEntityActor = ({types, links, archive}: ActorOptions): EntityActorClass =>
  class EntityActor extends DurableObject<Env> implements EntityCalls {
    #store = new EntityStore(this.ctx.storage.sql);
    readonly #around: Surroundings = surroundings(this.env);
    readonly #policies = policyReader(this.#around);
    readonly #sockets = new ClientSockets(this.ctx);
    readonly #peers = new PeerCalls(this.#around, links);
    readonly #catalog = new RegionalCatalog(this.#policies, this.#peers);
    readonly #waiting = new Map<number, (outcome: Outcome) => void>();
    #requests = 0;
    #recoverAgainAtMs = 0;
    /** The fence has told that no replica was here before this instance. */
    #isFirst = false;
    #asking: Promise<FenceAnswer> | undefined;
    #identity: Identity | undefined;
    #type: EntityType | undefined;
    #host: ReplicaHost | undefined;
    #damage: ReplicaDamaged | undefined;
    #wake: ReturnType<typeof setTimeout> | undefined;

    constructor(ctx: DurableObjectState, env: Env) {
      super(ctx, env);
      void ctx.blockConcurrencyWhile(async () => this.#open(await ctx.storage.getAlarm()));
    }

    #open(alarmAtMs: number | null): void {
      try {
        if (!this.#store.exists()) return;
        const identity = this.#store.identity();
        const type = this.#typeNamed(identity.address.type);
        this.#identity = identity;
        this.#type = type;
        const stored = this.#store.load(type.shape);
        this.#host = this.#hostOf(openReplica(kindOf(type), identity.place.region, stored, alarmAtMs ?? undefined));
      } catch (error) {
        this.#damage = damageOf(error);
        if (!this.#damage) throw error;
        console.error('replica damaged:', this.#damage.message);
      }
    }

    #typeNamed(name: string): EntityType {
      const type = types.get(name);
      if (!type) throw new Refusal('unknown-type', `there is no entity type "${name}"`);
      return type;
    }

    #hostOf(replica: Replica): ReplicaHost {
      return new ReplicaHost(replica, {
        around: () => ({nowMs: Date.now(), random: Math.random, newId, log: this.#store}),
        store: (effects, next) => this.#keep(effects, next),
        perform: effect => this.#perform(effect),
      });
    }

    get #replica(): Replica | undefined {
      return this.#host?.replica;
    }

    // Finding the replica.

    /** The replica, or the place for one. Where there is none yet, the policy is read first: it says whether one may be. */
    async #ready(call: Call): Promise<ReplicaHost> {
      this.#checkPlace(call);
      if (this.#host?.replica.held && !this.#damage) return this.#host;
      const policies = await this.#policiesFor(call, true);
      if (this.#host?.replica.held && !this.#damage) return this.#host;
      const type = this.#typeNamed(call.address.type);
      // A tenant's first replica has no policy to be judged by yet; its frames are, on arrival.
      if (type.name !== tenantConfiguration.name) this.#demandPlace(call, policies);
      const {address, place, tenantJurisdiction} = call;
      this.#identity = {address, place, tenantJurisdiction};
      this.#type = type;
      const permitted = await this.#regionsToAsk(call, policies);
      if (this.#host?.replica.held && !this.#damage) return this.#host;
      if (this.#damage) this.#rebuild(this.#damage, kindOf(type), permitted);
      else if (this.#host) this.#host.dispatch({type: 'policy', permitted});
      else this.#host = this.#hostOf(blankReplica(kindOf(type), place.region, permitted));
      return this.#host!;
    }

    #checkPlace(call: Call): void {
      if (this.#identity && !isSamePlace(this.#identity, call))
        this.#damage = new ReplicaDamaged('the storage is of another replica');
    }

    /** The damaged storage is put aside, and a replica without a past is filled from the others'. */
    #rebuild(damage: ReplicaDamaged, kind: Replica['kind'], permitted: readonly string[]): void {
      try {
        this.#beginAnew(damage, kind, permitted);
      } catch (error) {
        if (!damageOf(error)) throw refusalOf(error) ?? error;
        // Tables with pages that cannot be read cannot be dropped either, so all of the file goes. It is gone at once.
        console.error('replica beyond repair:', String(error));
        this.ctx.waitUntil(this.ctx.storage.deleteAll());
        this.#store = new EntityStore(this.ctx.storage.sql);
        this.#beginAnew(damage, kind, permitted);
      }
      this.#damage = undefined;
    }

    #beginAnew(damage: ReplicaDamaged, kind: Replica['kind'], permitted: readonly string[]): void {
      this.ctx.storage.transactionSync(() => {
        this.#store.putAside(damage);
        this.#host = this.#hostOf(blankReplica(kind, this.#identity!.place.region, permitted));
        this.#host.dispatch({type: 'rebuild', salvage: damage.salvaged});
      });
    }

    #demandPlace({address, tenantJurisdiction, place: {region}}: Call, policies: readonly Policy[]): void {
      const decision = decidePlace(address, policies, tenantJurisdiction, this.#around.regions, region, 'hold');
      if (!decision.allow) throw new Refusal('residency', decision.why, {rule: decision.rule, region});
    }

    /** The other regions that may hold this entity, nearest first. */
    #peerRegions(from: Located, policies: readonly Policy[]): readonly string[] {
      const held = from.address.type === tenantConfiguration.name ? this.#replica?.held : undefined;
      if (!held) return this.#peers.regions(from, policies, []);
      // A tenant's configuration also goes on to where it once was: a region learns from it that it is no longer served.
      const left = [...members(held.document).values()].map(({region}) => region);
      // And one that was lost does not know its own policy: until it does, it is where it began to ask.
      return this.#peers.regions(from, policies, held.recovering ? [...left, ...this.#replica!.permitted] : left);
    }

    /** Of a replica that is about to be. A tenant's configuration has no policy to go by then, so the directory says. */
    async #regionsToAsk(call: Call, policies: readonly Policy[]): Promise<readonly string[]> {
      const {address, place} = call;
      if (address.type !== tenantConfiguration.name || this.#replica?.held) return this.#peerRegions(call, policies);
      return this.#peers.regions(
        call,
        policies,
        await regionsServing(this.#around.places, this.env, address.tenant, place.region),
      );
    }

    async #policiesFor(call: Destination, fresh = false): Promise<readonly Policy[]> {
      if (call.address.type !== tenantConfiguration.name) return this.#policies.read(call, fresh);
      const held = this.#replica?.held;
      return held ? viewOf(tenantConfiguration, held.document).policies : [];
    }

    // What clients and the edge call.

    read(call: Call, options: ReadOptions): Promise<Reply<EntityReply>> {
      return answer(async () => {
        authorise(call, 'read');
        const done = await this.#find(call, options);
        return {...this.#reply(options, done), digest: this.#digest()};
      });
    }

    command(call: Call, name: string, input: unknown, options: CommandOptions): Promise<Reply<CommandReply>> {
      return this.#act(call, name, input, options, (type, base, head) => runCommand(type, base, head, name, input));
    }

    patch(call: Call, edits: unknown, options: CommandOptions): Promise<Reply<CommandReply>> {
      return this.#act(call, PATCH, edits, options, (type, base, head) => runPatch(type, base, head, edits));
    }

    #act(
      call: Call,
      name: string,
      input: unknown,
      options: CommandOptions,
      attempt: (type: EntityType, ...args: Parameters<Run>) => ReturnType<Run>,
    ): Promise<Reply<CommandReply>> {
      return answer(async () => {
        authorise(call, 'write');
        const type = this.#typeNamed(call.address.type);
        const mark = options.idempotencyKey === undefined ? undefined : markFor(options.idempotencyKey, name, input);
        const ageMs = options.sentAtMs === undefined ? 0 : Date.now() - options.sentAtMs;
        const run: Run = (base, head) => attempt(type, base, head);
        const outcome = await this.#request(call, id => {
          const request = {...requestOf(id, options), name, mark, run};
          return {type: 'command', request, ageMs};
        });
        const done = outcome as Done;
        const dot = done.dot && {dot: `${done.dot.replica}:${done.dot.counter}`};
        return {...this.#reply(options, done), ...dot, duplicate: done.duplicate};
      });
    }

    /** Gives the replica a request, and waits for its outcome. */
    async #request(call: Call, event: (id: number) => ReplicaEvent): Promise<Outcome> {
      const host = await this.#ready(call);
      const id = ++this.#requests;
      const settled = new Promise<Outcome>(resolve => this.#waiting.set(id, resolve));
      try {
        host.dispatch(event(id));
      } catch (error) {
        this.#waiting.delete(id);
        throw this.#afterFailure(error);
      }
      const outcome = await settled;
      if (outcome.type === 'refused') throw outcome.refusal;
      return outcome;
    }

    async #find(call: Call, options: ReadOptions): Promise<Done> {
      return (await this.#request(call, id => ({type: 'read', request: requestOf(id, options)}))) as Done;
    }

    #reply(options: ReadOptions, done: Done): EntityReply {
      return replyOf(this.#type!, this.#replica!.held!.document, levelOf(options), done);
    }

    #digest(): string {
      return this.#store.digest(this.#type!.shape, this.#replica!.held!.document);
    }

    log(call: Call, after: number, limit: number): Promise<Reply<LogReply>> {
      return answer(async () => {
        authorise(call, 'read');
        await this.#find(call, {});
        const rows = this.#store.log.rowsAfter(after, Math.min(limit, LOG_PAGE_ROWS_MAX));
        const entries = rows.map(({seq, entry, hash}) => {
          const {replica, counter, time, command, mark} = decodeEntryHead(entry);
          return {
            seq,
            dot: `${replica}:${counter}`,
            at: new Date(time.ms).toISOString(),
            command,
            ...(mark && {idempotencyKey: mark.key}),
            hash: toHex(hash),
            entry: toBase64url(entry),
          };
        });
        const last = entries.at(-1);
        const {droppedUpTo} = this.#store.log;
        const end = this.#replica!.held!.end;
        return last && last.seq < end ? {entries, next: last.seq, droppedUpTo} : {entries, droppedUpTo};
      });
    }

    replicas(call: Call): Promise<Reply<ReplicaReport>> {
      return answer(async () => {
        authorise(call, 'read');
        await this.#find(call, {});
        return this.#report();
      });
    }

    async #report(): Promise<ReplicaReport> {
      const {log, quarantine} = this.#store;
      const alarmAtMs = await this.ctx.storage.getAlarm();
      return reportOf(this.#replica!, {
        alarmAtMs,
        quarantined: quarantine.count,
        droppedUpTo: log.droppedUpTo,
        digest: this.#digest(),
      });
    }

    settle(call: Call): Promise<Reply<ReplicaReport>> {
      return answer(async () => {
        authorise(call, 'admin');
        await this.#request(call, id => ({type: 'settle', request: requestOf(id, {})}));
        return this.#report();
      });
    }

    leave(call: Call, heir: string | undefined, waitMs: number): Promise<Reply<LeaveReply>> {
      return answer(async () => {
        authorise(call, 'admin');
        const {region} = call.place;
        const leaving = this.#request(call, id => ({type: 'leave', request: requestOf(id, {}), heir}));
        this.ctx.waitUntil(leaving.catch(() => undefined));
        const outcome = await Promise.race([leaving, within(waitMs, leaving).catch(refused)]);
        if (outcome === undefined || outcome.type !== 'left') return {status: 'leaving', region} as const;
        return leaveReply(outcome.proof);
      });
    }

    fence(call: Call, region: string, lost: boolean): Promise<Reply<ReplicaReport>> {
      return answer(async () => {
        authorise(call, 'admin');
        await this.#request(call, id => ({type: 'fence', request: requestOf(id, {}), region, lost}));
        return this.#report();
      });
    }

    peek(call: Call): Promise<Reply<string | undefined>> {
      return answer(async () => {
        await this.#demandWhole(call);
        const held = this.#replica?.held;
        return held && toJson(viewOf(this.#type!, held.document));
      });
    }

    /**
     * Refuses where a replica was lost or is damaged, and has it fetched: one that was emptied must not pass for an empty
     * entity. The platform's own entities come to be by frames alone, so nobody else would notice that one is gone.
     */
    async #demandWhole(call: Call): Promise<void> {
      this.#checkPlace(call);
      const held = this.#replica?.held;
      const isBroken = this.#damage !== undefined || held?.recovering === true;
      const isSure = this.#isFirst || (held !== undefined && !isNewcomer(held));
      if (!isBroken && (isSure || !(await this.#wasHere(call)))) return;
      this.ctx.waitUntil(this.#recover(call).catch(error => console.error('recovery:', String(error))));
      const why = 'what the platform keeps in this region was lost, and has not been fetched from another yet';
      throw new Refusal('replica-recovering', why, {retryAfter: 1});
    }

    /** Asked where nothing is held, or something that its fence has not been told of: once for each start of the object. */
    async #wasHere({address, place}: Call): Promise<boolean> {
      this.#asking ??= within(FENCE_CALL_MS_MAX, this.#around.fences.call(address, place, {type: 'ask'})).finally(
        () => (this.#asking = undefined),
      );
      const told = await this.#asking.catch(() => undefined);
      if (told?.type !== 'told')
        throw new Refusal('fence-unreachable', 'whether there was a replica here before cannot be asked', {
          retryAfter: 1,
        });
      this.#isFirst = told.replica === undefined || told.replica === this.#replica?.held?.id;
      return !this.#isFirst;
    }

    async #recover(call: Call): Promise<void> {
      if (Date.now() < this.#recoverAgainAtMs) return;
      this.#recoverAgainAtMs = Date.now() + RECOVER_AGAIN_MS;
      const host = await this.#ready(call);
      if (host.replica.held) this.#dispatch({type: 'read', request: requestOf(++this.#requests, {})});
      else this.#dispatch({type: 'rebuild', salvage: []});
    }

    // What peers call.

    holders(call: Call, id: string): Promise<Reply<readonly string[]>> {
      return answer(async () => {
        await this.#demandWhole(call);
        const held = this.#replica?.held;
        if (!held || this.#type?.name !== catalog.name) return [];
        const listed = fieldState(held.document, 'holders', catalog.fields.holders.type);
        return [...this.#around.regions.keys()].filter(region => listed.has(holder(region, id)));
      });
    }

    async exchange(call: Call, message: Uint8Array): Promise<Uint8Array> {
      const request = decodeRequest(message);
      this.#checkPlace(call);
      if (request.type === 'probe' && !this.#replica?.held && !this.#damage) return encodeAnswer({type: 'absent'});
      const type = this.#typeNamed(call.address.type);
      const isHere = this.#replica?.held !== undefined;
      if (!isHere && !this.#damage && type.replication === 'first-use') return encodeAnswer({type: 'absent'});
      const asked =
        request.type === 'frame' ? Math.max(request.frame.policyVersion, call.policyVersion) : call.policyVersion;
      const policies = await this.#policiesFor({...call, policyVersion: asked}).catch(unlessDefect);
      if (!policies) return encodeAnswer({type: 'later', why: 'the policy here is being recovered', afterMs: 1_000});
      const refusal = request.type === 'probe' ? undefined : this.#refusalOf(call, type, policies, request);
      // The sender may know a policy that has not come here yet: it tries again, instead of taking this for final.
      if (refusal !== undefined && newestOf(policies) < asked)
        return encodeAnswer({type: 'later', why: 'that policy is not known here yet', afterMs: 250});
      if (refusal !== undefined && request.type === 'frame') return encodeAnswer({type: 'refused', why: refusal});
      try {
        const host = await this.#readyForPeers(call, type, policies);
        return encodeAnswer(host.dispatch({type: 'asked', request, bytes: message.length, refusal})!);
      } catch (error) {
        throw this.#afterFailure(error);
      }
    }

    async #readyForPeers(call: Call, type: EntityType, policies: readonly Policy[]): Promise<ReplicaHost> {
      if (this.#host && !this.#damage) return this.#host;
      if (this.#damage) return this.#ready(call);
      const {address, place, tenantJurisdiction} = call;
      this.#identity = {address, place, tenantJurisdiction};
      this.#type = type;
      return (this.#host = this.#hostOf(blankReplica(kindOf(type), place.region, this.#peerRegions(call, policies))));
    }

    /** A tenant's configuration carries its own policy, so a frame of it is judged by what it would bring. */
    #refusalOf(call: Call, type: EntityType, policies: readonly Policy[], request: PeerRequest): string | undefined {
      const {address, place, tenantJurisdiction} = call;
      const held = this.#replica?.held;
      let judged = policies;
      if (type.name === tenantConfiguration.name) {
        const preview = held || request.type !== 'frame' ? undefined : previewOf(type.shape, request.frame);
        // A region that is being left must hear of it. And nothing is kept of a gap: what will fill it is judged then.
        if (!preview) return undefined;
        judged = viewOf(tenantConfiguration, preview).policies;
      }
      const {allow, why} = decidePlace(address, judged, tenantJurisdiction, this.#around.regions, place.region, 'hold');
      return allow ? undefined : why;
    }

    // Sockets.

    override async fetch(request: Request): Promise<Response> {
      const call = JSON.parse(decodeURIComponent(request.headers.get('Sangam-Call')!)) as Call;
      const found = await answer(async () => {
        authorise(call, 'read');
        return this.#reply({}, await this.#find(call, {}));
      });
      if (!found.ok) return Response.json(found.problem, {status: found.problem.status});
      return this.#sockets.accept(call, request, found.value);
    }

    override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
      await this.#sockets.take(socket, message, (call, {name, input, idempotencyKey, wait}) =>
        this.command(call, name, input, {idempotencyKey, waitMs: wait}),
      );
    }

    override webSocketClose(socket: WebSocket, code: number): void {
      this.#sockets.close(socket, code);
    }

    /** Runs at least once, and must not throw: after seven throws an alarm is gone for good. */
    override async alarm(): Promise<void> {
      try {
        this.#host?.dispatch({type: 'alarm'});
      } catch (error) {
        console.error('alarm:', String(this.#afterFailure(error)));
        await this.ctx.storage.setAlarm(Date.now() + PEER_CALL_MS_MAX);
      }
    }

    // Performing.

    #keep(effects: readonly StoreEffect[], next: Replica): void {
      try {
        this.ctx.storage.transactionSync(() => this.#store.apply(next.kind.shape, this.#identity!, effects));
      } catch (error) {
        // The transaction is undone, and so is what the store took for written.
        this.#store = new EntityStore(this.ctx.storage.sql);
        if (this.#store.exists()) this.#store.load(next.kind.shape);
        throw error;
      }
    }

    /** A step that could not be kept has answered nobody: who waits is told, or would wait for ever. */
    #afterFailure(error: unknown): unknown {
      const damage = damageOf(error);
      if (damage) {
        console.error('replica damaged:', damage.message);
        this.#damage = damage;
        error = new Refusal('replica-damaged', 'the replica in this region is damaged, and is being fetched anew', {
          retryAfter: 1,
        });
      }
      const refusal = refusalOf(error);
      const replica = this.#replica;
      if (!refusal || !replica) return error;
      for (const {request} of replica.waiting) this.#waiting.get(request.id)?.({type: 'refused', refusal});
      // What the step was to learn is not known: everything that is under way starts anew, from what is on disk.
      if (!this.#damage) this.#reopen(replica);
      return refusal;
    }

    #reopen({kind, region, permitted, calls}: Replica): void {
      const open = this.#store.exists()
        ? openReplica(kind, region, this.#store.load(kind.shape), 0)
        : blankReplica(kind, region, permitted);
      this.#host = this.#hostOf({...open, calls});
      this.ctx.waitUntil(scheduler.wait(0).then(() => this.#dispatch({type: 'alarm'})));
    }

    /** An event that nobody waits for. */
    #dispatch(event: ReplicaEvent): void {
      try {
        this.#host!.dispatch(event);
      } catch (error) {
        console.error(`${event.type}:`, String(this.#afterFailure(error)));
      }
    }

    #perform(effect: Performed): void {
      switch (effect.type) {
        case 'clear':
          return this.ctx.waitUntil(this.#clear(effect.to, effect.find));
        case 'call':
          return this.ctx.waitUntil(this.#call(effect));
        case 'fence':
          return this.ctx.waitUntil(this.#callFence(effect));
        case 'find':
          return this.ctx.waitUntil(this.#findIn(effect.region));
        case 'list':
          return this.ctx.waitUntil(this.#list());
        case 'register':
          return this.ctx.waitUntil(this.#register());
        case 'reply':
          this.#waiting.get(effect.id)?.(effect.outcome);
          this.#waiting.delete(effect.id);
          if (this.#waiting.size === 0) clearTimeout(this.#wake);
          return;
        case 'arm':
          return this.ctx.waitUntil(this.ctx.storage.setAlarm(effect.atMs));
        case 'disarm':
          return this.ctx.waitUntil(this.ctx.storage.deleteAlarm());
        case 'wake':
          clearTimeout(this.#wake);
          // Only while somebody waits for an answer, so it keeps nothing awake that would sleep.
          this.#wake = setTimeout(() => this.#dispatch({type: 'woken'}), Math.max(0, effect.atMs - Date.now()));
          return;
        case 'changed':
          return this.#changed();
        case 'tidy':
          return this.ctx.waitUntil(scheduler.wait(0).then(() => this.#dispatch({type: 'tidy'})));
        case 'archive':
          if (archive) this.ctx.waitUntil(this.#archive(effect.rows));
          return;
        default:
          return effect satisfies never;
      }
    }

    #changed(): void {
      const {document} = this.#replica!.held!;
      if (this.#type!.name === tenantConfiguration.name) {
        const permitted = this.#peerRegions(this.#identity!, viewOf(tenantConfiguration, document).policies);
        this.ctx.waitUntil(Promise.resolve().then(() => this.#dispatch({type: 'policy', permitted})));
      }
      if (this.#sockets.count > 0) this.#sockets.publish(replyOf(this.#type!, document, {type: 'local'}, NOTHING_MORE));
    }

    /** Whether a frame may go to a region: decided anew for each, since policies change while frames wait. */
    async #clear(to: string, find: boolean): Promise<void> {
      let policyVersion = 0;
      let verdict: (ReplicaEvent & {type: 'cleared'})['verdict'] = 'go';
      try {
        const identity = this.#identity!;
        const policies = await this.#policiesFor({...identity, policyVersion: 0});
        policyVersion = newestOf(policies);
        const permitted = this.#peerRegions(identity, policies);
        this.#dispatch({type: 'policy', permitted});
        if (!permitted.includes(to)) verdict = 'denied';
        else if (find) {
          // Listed here before the others are asked: of two replicas that come to be at once, one finds the other.
          if (!this.#replica!.held?.registered) await this.#enter();
          if (!(await this.#catalog.holders(identity, to)).includes(to)) verdict = 'absent';
        }
      } catch {
        verdict = 'failed';
      }
      this.#dispatch({type: 'cleared', to, verdict, policyVersion});
    }

    async #call({call, to, bytes, lane, isRetry}: Performed & {type: 'call'}): Promise<void> {
      const ticket = lanes.admit(lane, isRetry);
      if (!ticket) {
        const afterMs = Math.ceil(Math.random() * DEFER_MS_MAX);
        return this.#dispatch({type: 'deferred', call, afterMs});
      }
      try {
        const answered = await this.#peers.call(this.#identity!, to, (stub, there) => stub.exchange(there, bytes));
        ticket.done(true);
        this.#dispatch({type: 'returned', call, bytes: answered});
      } catch {
        this.#dispatch({type: 'failed', call});
      } finally {
        ticket.done(false);
      }
    }

    async #callFence({call, request}: Performed & {type: 'fence'}): Promise<void> {
      try {
        const {address, place} = this.#identity!;
        const told = await within(FENCE_CALL_MS_MAX, this.#around.fences.call(address, place, request));
        this.#dispatch({type: 'fenced', call, answer: told});
      } catch {
        this.#dispatch({type: 'failed', call});
      }
    }

    /** What another region holds of this entity. Its catalog is asked first: to ask an object that is not there makes one. */
    async #findIn(region: string): Promise<void> {
      const identity = this.#identity!;
      try {
        const isThere = (await this.#catalog.holders(identity, region)).includes(region);
        const probe = encodeRequest({type: 'probe'});
        const told =
          isThere &&
          decodeAnswer(await this.#peers.call(identity, region, (stub, there) => stub.exchange(there, probe)));
        const outcome =
          told && told.type === 'applied' ? told.vector : told && told.type !== 'absent' ? 'failed' : 'absent';
        this.#dispatch({type: 'found', region, outcome});
      } catch {
        this.#dispatch({type: 'found', region, outcome: 'failed'});
      }
    }

    async #list(): Promise<void> {
      const {place} = this.#identity!;
      const holders = await this.#catalog.holders(this.#identity!, place.region).catch(() => undefined);
      this.#dispatch({type: 'listed', holders});
    }

    async #register(): Promise<void> {
      await this.#enter().catch(() => this.#dispatch({type: 'registered', ok: false}));
    }

    async #enter(): Promise<void> {
      await this.#catalog.enter(this.#identity!);
      this.#dispatch({type: 'registered', ok: true});
    }

    async #archive(rows: (Effect & {type: 'archive'})['rows']): Promise<void> {
      try {
        await archive!({...this.#identity!, policyVersion: 0}, rows);
      } catch (error) {
        console.error('archive:', error);
      }
    }
  };

type Run = (
  ...args: [base: Parameters<typeof runPatch>[1], head: Parameters<typeof runPatch>[2]]
) => ReturnType<typeof runPatch>;

const NOTHING_MORE: Done = {type: 'done', duplicate: false, regions: 1};

const newId = (): ReplicaId => toHex(crypto.getRandomValues(new Uint8Array(8))) as ReplicaId;

const newestOf = (policies: readonly Policy[]): number => Math.max(0, ...policies.map(policy => policy.version));

const isSamePlace = ({address, place}: Identity, call: Call): boolean =>
  address.tenant === call.address.tenant &&
  address.type === call.address.type &&
  address.id === call.address.id &&
  place.region === call.place.region &&
  place.jurisdiction === call.place.jurisdiction;

function unlessDefect(error: unknown): undefined {
  if (!(error instanceof Refusal)) throw error;
  return undefined;
}

/** It has not spoken yet, and its fence may know of another one that was here. */
const isNewcomer = ({document, id, gossip}: Held): boolean =>
  counterOf(document.vector, id) === 0 && gossip.own.length === 1;

function refused(error: unknown): undefined {
  if (error instanceof Refusal) throw error;
  return undefined;
}

const leaveReply = ({region, replica, epoch, heir, vector, heldBy}: Retirement): LeaveReply => ({
  status: 'left',
  region,
  replica,
  epoch,
  heir,
  version: versionToken(vector),
  heldBy,
});
