// The Durable Object around one replica. It performs: storage transactions, calls to peers, sockets, the one alarm. What is
// sent to whom and when, who may hold what, and what a command does is decided in mesh/, residency/ and schema/.
import {DurableObject} from 'cloudflare:workers';
import {toHex} from '../crdt/bytes.ts';
import type {EventHead} from '../crdt/codec.ts';
import {type Document, EMPTY_DOCUMENT, type EventDelta, fieldState} from '../crdt/document.ts';
import type {Exact} from '../crdt/exact.ts';
import {Refusal} from '../crdt/refusal.ts';
import {coversVector, EMPTY_VECTOR, joinVectors, type VersionVector} from '../crdt/version-vector.ts';
import type {ReplicaId} from '../crdt/dot.ts';
import {decodeEntryHead, type IdempotencyMark} from '../mesh/entry.ts';
import {decodeFrame, encodeFrame, type Frame} from '../mesh/frame.ts';
import {members} from '../mesh/membership.ts';
import {type Effect, isOverdue, type Surroundings as Around} from '../mesh/replica.ts';
import {parseVersionToken, toBase64url, versionToken} from '../mesh/version-token.ts';
import type {Policy} from '../residency/policy.ts';
import type {
  Call,
  CommandOptions,
  CommandReply,
  Destination,
  EntityCalls,
  EntityReply,
  FrameReply,
  LogReply,
  ReadOptions,
  ReplicaReport,
  Reply,
  RightsRequest,
} from '../schema/calls.ts';
import {type EntityType, PATCH, runCommand, runPatch, viewOf} from '../schema/entity-type.ts';
import {toJson} from '../schema/json.ts';
import {decidePlace} from '../schema/placements-of.ts';
import {catalog, holder, tenantConfiguration} from '../schema/system-types.ts';
import {ClientSockets} from './client-sockets.ts';
import {admitFrame, type Admitted, tryFirst, Entity, markFor} from './entity.ts';
import {EntityStore, ReplicaDamaged} from './entity-store.ts';
import {type Env, type Surroundings, surroundings} from './env.ts';
import {type Links, PEER_CALL_MS_MAX, within} from './links.ts';
import {type Located, PeerCalls} from './peer-calls.ts';
import {policyReader} from './policy-reader.ts';
import {RegionalCatalog} from './regional-catalog.ts';
import {answer, authorise, replyOf, reportOf} from './replies.ts';
import {lackOf, Rights} from './rights.ts';

/** How long a read that names a version waits for it when the client sets no other time. */
export const VERSION_WAIT_MS_DEFAULT = 2_000;
/** How long the first use of an entity in a region looks for it in the others. */
export const JOIN_WAIT_MS_MAX = 4_000;
export const LOG_PAGE_ROWS_MAX = 500;

export interface ActorOptions {
  readonly types: ReadonlyMap<string, EntityType>;
  readonly links: Links;
}

export type EntityActorClass = new (ctx: DurableObjectState, env: Env) => DurableObject<Env> & EntityCalls;

export const createEntityActor = ({types, links}: ActorOptions): EntityActorClass =>
  class EntityActor extends DurableObject<Env> implements EntityCalls {
    readonly #store = new EntityStore(this.ctx.storage.sql);
    readonly #around: Surroundings = surroundings(this.env);
    readonly #policies = policyReader(this.#around);
    readonly #sockets = new ClientSockets(this.ctx);
    readonly #peers = new PeerCalls(this.#around, links);
    readonly #catalog = new RegionalCatalog(this.#policies, this.#peers);
    readonly #rights = new Rights({
      request: (region, request) =>
        this.#peers.call(this.#entity!.identity, region, (stub, call) => stub.grant(call, request)),
      background: work => this.ctx.waitUntil(work),
      seek: () => this.#perform(this.#entity!.advance({type: 'seek'}, this.#now())),
      until: (check, ms) => this.#until(check, ms),
      wake: () => this.#wake(),
    });
    readonly #waiting = new Set<() => void>();
    #entity: Entity | undefined;
    #damage: ReplicaDamaged | undefined;
    #checkpointing = false;

    constructor(ctx: DurableObjectState, env: Env) {
      super(ctx, env);
      void ctx.blockConcurrencyWhile(async () => this.#open(await ctx.storage.getAlarm()));
    }

    #open(alarmAtMs: number | null): void {
      if (!this.#store.exists()) return;
      try {
        const stored = this.#store.load(({address}) => this.#type(address.type).shape);
        const type = this.#type(stored.identity.address.type);
        this.#entity = Entity.open(this.#store, type, stored, alarmAtMs ?? undefined);
      } catch (error) {
        if (!(error instanceof ReplicaDamaged)) throw error;
        console.error('replica damaged:', error.message);
        this.#damage = error;
      }
    }

    #type(name: string): EntityType {
      const type = types.get(name);
      if (!type) throw new Refusal('unknown-type', `there is no entity type "${name}"`);
      return type;
    }

    // What clients and the edge call.

    read(call: Call, options: ReadOptions): Promise<Reply<EntityReply>> {
      return answer(async () => {
        authorise(call, 'read');
        const entity = await this.#find(call, options);
        return {...replyOf(entity), digest: entity.digest};
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
      attempt: (type: EntityType, base: Document, head: EventHead) => EventDelta | undefined,
    ): Promise<Reply<CommandReply>> {
      return answer(async () => {
        authorise(call, 'write');
        const mark = options.idempotencyKey === undefined ? undefined : markFor(options.idempotencyKey, name, input);
        const type = this.#type(call.address.type);
        const entity = await this.#findOrCreate(call, options, () =>
          tryFirst(type, name, mark, (base, head) => attempt(type, base, head)),
        );
        const run = () => this.#write(entity, name, mark, head => attempt(entity.type, entity.document, head));
        return this.#rights.runWithin(entity, options.waitMs ?? 0, run);
      });
    }

    log(call: Call, after: number, limit: number): Promise<Reply<LogReply>> {
      return answer(async () => {
        authorise(call, 'read');
        await this.#find(call, {});
        const rows = this.#store.rowsAfter(after, Math.min(limit, LOG_PAGE_ROWS_MAX));
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
        return last && last.seq < this.#entity!.logRows ? {entries, next: last.seq} : {entries};
      });
    }

    replicas(call: Call): Promise<Reply<ReplicaReport>> {
      return answer(async () => {
        authorise(call, 'read');
        return reportOf(await this.#find(call, {}), await this.ctx.storage.getAlarm());
      });
    }

    async peek(_call: Call): Promise<string | undefined> {
      const entity = this.#entity;
      return entity && toJson(viewOf(entity.type, entity.document));
    }

    // What peers call.

    async holders(_call: Call, id: string): Promise<readonly string[]> {
      const entity = this.#entity;
      if (entity?.type.name !== catalog.name) return [];
      const {type} = catalog.fields.holders;
      const listed = fieldState(entity.document, 'holders', type);
      return [...this.#around.regions.keys()].filter(region => listed.has(holder(region, id)));
    }

    async vector(_call: Call): Promise<string | undefined> {
      return this.#entity && versionToken(this.#entity.vector);
    }

    async receive(call: Call, bytes: Uint8Array): Promise<FrameReply> {
      if (this.#damage) return {type: 'later', why: this.#damage.message};
      const frame = decodeFrame(bytes);
      const type = this.#type(call.address.type);
      if (!this.#entity && type.replication === 'first-use') return {type: 'absent'};
      const newest = Math.max(frame.policyVersion, call.policyVersion);
      const policies = await this.#policiesFor({...call, policyVersion: newest});
      // From here on nothing waits, so the frame is admitted against the state that it is joined into.
      const admitted = admitFrame(type.shape, this.#entity?.document ?? EMPTY_DOCUMENT, frame);
      const refusal = this.#refusalOf(call, type, policies, admitted);
      if (refusal !== undefined) {
        // The sender may know a policy that has not come here yet: it tries again, instead of taking this for final.
        if (newestOf(policies) < newest) return {type: 'later', why: 'that policy is not known here yet'};
        return {type: 'refused', why: refusal};
      }
      if (!admitted) return {type: 'gap', vector: new Map(this.#entity?.vector)}; // Plain: a call clones what it carries.
      this.#keep(call, type, policies, frame);
      return {type: 'applied', vector: new Map(this.#entity!.vector)};
    }

    /** A tenant's configuration carries its own policy, so a frame of it is judged by what it would bring. */
    #refusalOf(
      call: Call,
      type: EntityType,
      policies: readonly Policy[],
      admitted: Admitted | undefined,
    ): string | undefined {
      const {address, place, tenantJurisdiction} = call;
      const own = type.name === tenantConfiguration.name;
      // A region that is being left must hear of it. And nothing is kept of a gap: what will fill it is judged then.
      if (own && (this.#entity || !admitted)) return undefined;
      const judged = own ? viewOf(tenantConfiguration, admitted!.document).policies : policies;
      const {allow, why} = decidePlace(address, judged, tenantJurisdiction, this.#around.regions, place.region, 'hold');
      return allow ? undefined : why;
    }

    #keep(call: Call, type: EntityType, policies: readonly Policy[], frame: Frame): void {
      const effects: Effect[] = [];
      this.#transaction(() => {
        if (!this.#entity) effects.push(...this.#create(call, policies));
        const entity = this.#entity!;
        // Admitted again: a replica that was just created holds its own first event, which the frame knows nothing of.
        const admitted = admitFrame(type.shape, entity.document, frame);
        if (!admitted) throw new Error('a frame that was admitted is not any more');
        effects.push(...entity.keep(frame, admitted, this.#now()));
      });
      this.#perform(effects);
      this.#changed();
    }

    async grant(call: Call, request: RightsRequest): Promise<Exact> {
      const entity = this.#entity;
      if (!entity || entity.identity.replica !== request.donor) return 0;
      const policies = await this.#policiesFor(call);
      const {address, place, tenantJurisdiction} = entity.identity;
      const {regions} = this.#around;
      const {allow} = decidePlace(address, policies, tenantJurisdiction, regions, place.region, 'hold');
      if (!allow || !entity.boundedFields().includes(request.field)) return 0;
      const {amount, effects} = this.#transaction(() =>
        entity.grant(request.field, request.receiver as ReplicaId, request, this.#now()),
      );
      this.#perform(effects);
      if (amount !== 0) this.#changed();
      return amount;
    }

    // Sockets.

    override async fetch(request: Request): Promise<Response> {
      const call = JSON.parse(decodeURIComponent(request.headers.get('Sangam-Call')!)) as Call;
      const found = await answer(async () => {
        authorise(call, 'read');
        return replyOf(await this.#find(call, {}));
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
      const entity = this.#entity;
      if (!entity) return;
      try {
        if (entity.mesh.armedAtMs === undefined) entity.unsettle();
        this.#perform(entity.advance({type: 'alarm'}, this.#now()));
        if (!entity.registered) await this.#register(entity);
      } catch (error) {
        console.error('alarm:', error);
        await this.ctx.storage.setAlarm(Date.now() + PEER_CALL_MS_MAX);
      }
    }

    // Finding and making the replica.

    /** For reads: the replica here, or one that joins those elsewhere; never a new entity. */
    async #find(call: Call, options: ReadOptions): Promise<Entity> {
      if (this.#damage) throw this.#damage;
      const entity = this.#entity ?? (await this.#join(call));
      // Alarms have been lost before, and nobody else would notice while nothing is written.
      if (isOverdue(entity.mesh, Date.now())) this.#perform(entity.advance({type: 'alarm'}, this.#now()));
      await this.#catchUp(entity, options);
      return entity;
    }

    /** For commands. What can be done here is done without asking another region, so that a new replica acknowledges at once. */
    async #findOrCreate(call: Call, options: ReadOptions, tryFirst: () => Refusal | undefined): Promise<Entity> {
      if (this.#damage) throw this.#damage;
      if (!this.#entity) {
        const refusal = tryFirst();
        if (refusal) await this.#joinFor(call, options.waitMs ?? 0, refusal);
      }
      if (!this.#entity) {
        const policies = await this.#policiesFor(call, true);
        if (!this.#entity) this.#perform(this.#transaction(() => this.#create(call, policies)));
        this.#registerSoon();
      }
      await this.#catchUp(this.#entity!, options);
      return this.#entity!;
    }

    /**
     * For a command that an entity without a past refuses, such as the first sale in a region. Where the entity is known to
     * be elsewhere, the refusal stands unless its caller waits, and the replica comes to be meanwhile.
     */
    async #joinFor(call: Call, waitMs: number, refusal: Refusal): Promise<void> {
      const joined = this.#join(call);
      this.ctx.waitUntil(joined.catch(() => undefined)); // At once: it may fail before the catalog has answered.
      const holders = await this.#catalog.holders(call, call.place.region).catch(() => []);
      if (holders.length === 0) return void (await joined); // Says 404, or 503 if it cannot know.
      if (await within(waitMs, joined).catch(() => undefined)) return;
      const code = lackOf(refusal)
        ? 'rights-exhausted'
        : refusal.code === 'not-found'
          ? 'version-not-reached'
          : refusal.code;
      const why = `not here yet; ${holders.join(', ')} may have it`;
      throw new Refusal(code, why, {...refusal.facts, elsewhere: {}, unheard: holders, retryAfter: 1});
    }

    async #join(call: Call): Promise<Entity> {
      const policies = await this.#policiesFor(call, true);
      this.#demandPlace(call, policies);
      const others = this.#peerRegions(call, policies);
      const asked = await Promise.allSettled(others.map(region => this.#vectorAt(call, region)));
      const found = asked.flatMap(one =>
        one.status === 'fulfilled' && one.value ? [parseVersionToken(one.value)!] : [],
      );
      if (!this.#entity) {
        if (found.length === 0) this.#refuseMissing(call, others, asked);
        this.#perform(this.#transaction(() => this.#create(call, policies)));
        this.#registerSoon();
      }
      const entity = this.#entity!;
      const wanted = found.reduce<VersionVector>(joinVectors, EMPTY_VECTOR);
      if (!(await this.#until(() => coversVector(entity.vector, wanted), JOIN_WAIT_MS_MAX)))
        throw new Refusal('version-not-reached', 'the entity is being fetched from another region', {retryAfter: 1});
      return entity;
    }

    /** What another region holds of this entity. Its catalog is asked first: to ask an object that is not there makes one. */
    async #vectorAt(call: Call, region: string): Promise<string | undefined> {
      if (!(await this.#catalog.holders(call, region)).includes(region)) return undefined;
      return this.#peers.call(call, region, (stub, to) => stub.vector(to), JOIN_WAIT_MS_MAX);
    }

    #refuseMissing(call: Call, others: readonly string[], asked: readonly PromiseSettledResult<unknown>[]): never {
      const lost = others.filter((_region, index) => asked[index]!.status === 'rejected');
      const what = `${call.address.type} "${call.address.id}"`;
      if (lost.length === 0) throw new Refusal('not-found', `no region holds ${what}`);
      const why = `${what} is not in ${call.place.region}, and ${lost.join(', ')} cannot be asked`;
      throw new Refusal('region-unreachable', why, {regions: lost, retryAfter: 1});
    }

    #demandPlace({address, tenantJurisdiction, place: {region}}: Call, policies: readonly Policy[]): void {
      const decision = decidePlace(address, policies, tenantJurisdiction, this.#around.regions, region, 'hold');
      if (!decision.allow) throw new Refusal('residency', decision.why, {rule: decision.rule, region});
    }

    /** Mints the replica, inside a transaction. */
    #create(call: Call, policies: readonly Policy[]): readonly Effect[] {
      const {address, place, tenantJurisdiction} = call;
      const type = this.#type(address.type);
      // A tenant's first replica has no policy to be judged by yet; its frames are, on arrival.
      if (type.name !== tenantConfiguration.name) this.#demandPlace(call, policies);
      const replica = toHex(crypto.getRandomValues(new Uint8Array(8))) as ReplicaId;
      const identity = {address, place, tenantJurisdiction, replica};
      const peers = this.#peerRegions(call, policies);
      const {entity, effects} = Entity.create(this.#store, type, identity, peers, this.#now());
      this.#entity = entity;
      return effects;
    }

    /** The other regions that may hold this entity, nearest first. */
    #peerRegions(from: Located, policies: readonly Policy[]): readonly string[] {
      // A tenant's configuration also goes on to where it once was: a region learns from it that it is no longer served.
      const left = from.address.type === tenantConfiguration.name && this.#entity ? members(this.#entity.document) : [];
      return this.#peers.regions(
        from,
        policies,
        left.map(member => member.region),
      );
    }

    async #policiesFor(call: Destination, fresh = false): Promise<readonly Policy[]> {
      if (call.address.type !== tenantConfiguration.name) return this.#policies.read(call, fresh);
      return this.#entity ? viewOf(tenantConfiguration, this.#entity.document).policies : [];
    }

    async #catchUp(entity: Entity, {minVersion, waitMs = VERSION_WAIT_MS_DEFAULT}: ReadOptions): Promise<void> {
      if (minVersion === undefined) return;
      const wanted = parseVersionToken(minVersion);
      if (!wanted) throw new Refusal('invalid-version', 'Sangam-Min-Version is no version token');
      if (coversVector(entity.vector, wanted)) return;
      this.#perform(entity.advance({type: 'seek'}, this.#now()));
      if (!(await this.#until(() => coversVector(entity.vector, wanted), waitMs)))
        throw new Refusal('version-not-reached', `not seen here within ${waitMs} ms`, {retryAfter: 1});
    }

    // Writing.

    #write(
      entity: Entity,
      command: string,
      mark: IdempotencyMark | undefined,
      run: Parameters<Entity['write']>[2],
    ): CommandReply {
      const known = mark && entity.find(mark);
      if (known) return {...replyOf(entity), dot: `${known.replica}:${known.counter}`, duplicate: true};
      const {dot, effects} = this.#transaction(() => entity.write(command, mark, run, this.#now()));
      this.#perform(effects);
      if (!dot) return {...replyOf(entity), duplicate: false};
      this.#changed();
      return {...replyOf(entity), dot: `${dot.replica}:${dot.counter}`, duplicate: false};
    }

    #transaction<T>(run: () => T): T {
      const before = this.#entity;
      try {
        return this.ctx.storage.transactionSync(run);
      } catch (error) {
        this.#entity = before; // A replica whose creation was rolled back never was.
        throw error;
      }
    }

    #changed(): void {
      const entity = this.#entity!;
      if (entity.type.name === tenantConfiguration.name) {
        const {policies} = viewOf(tenantConfiguration, entity.document);
        this.#perform(entity.permit(this.#peerRegions(entity.identity, policies), this.#now()));
      }
      this.#wake();
      if (this.#sockets.count > 0) this.#sockets.publish(replyOf(entity));
      if (!entity.isCheckpointDue() || this.#checkpointing) return;
      this.#checkpointing = true;
      this.ctx.waitUntil(this.#checkpointLater(entity));
    }

    /** In an event of its own, so that no reply waits for it. */
    async #checkpointLater(entity: Entity): Promise<void> {
      try {
        await scheduler.wait(0);
        this.#transaction(() => entity.writeCheckpoint());
      } finally {
        this.#checkpointing = false;
      }
    }

    #wake(): void {
      for (const check of this.#waiting) check();
    }

    /** Resolves to whether `check` came true in time; it is looked at whenever something changed here. */
    async #until(check: () => boolean, ms: number): Promise<boolean> {
      if (check()) return true;
      let notify: (() => void) | undefined;
      const came = new Promise<void>(resolve => {
        notify = () => check() && resolve();
        this.#waiting.add(notify);
      });
      try {
        await within(ms, came);
      } catch {
        // The deadline: `check` says below what there is.
      } finally {
        this.#waiting.delete(notify!);
      }
      return check();
    }

    // Gossip.

    #now(): Around {
      return {nowMs: Date.now(), random: Math.random};
    }

    #perform(effects: readonly Effect[]): void {
      for (const effect of effects)
        switch (effect.type) {
          case 'send':
            this.ctx.waitUntil(this.#send(effect));
            break;
          case 'arm':
            this.ctx.waitUntil(this.ctx.storage.setAlarm(effect.atMs));
            break;
          case 'disarm':
            // The alarm that registers the entity is kept.
            if (this.#entity!.registered) this.ctx.waitUntil(this.ctx.storage.deleteAlarm());
            break;
          default:
            effect satisfies never;
        }
    }

    async #send(effect: Effect & {type: 'send'}): Promise<void> {
      const entity = this.#entity!;
      const {to: region, unreached: told} = effect;
      try {
        const {identity} = entity;
        const policies = await this.#policiesFor({...identity, policyVersion: 0});
        const permitted = this.#peerRegions(identity, policies);
        this.#perform(entity.permit(permitted, this.#now()));
        if (!permitted.includes(region)) return; // It is no peer any more; nothing of this leaves.
        const version = newestOf(policies);
        if (entity.type.replication === 'first-use' && entity.mesh.peers.get(region)?.status === 'unheard') {
          // Listed here before the others are asked: of two replicas that come to be at once, one finds the other.
          await this.#register(entity);
          if (!(await this.#catalog.holders(identity, region)).includes(region)) {
            this.#perform(entity.advance({type: 'answered', region, answer: {type: 'absent'}, told}, this.#now()));
            return;
          }
        }
        // Built after the wait, so that writes that came meanwhile travel along.
        const frame = encodeFrame(entity.frameFor(effect, version));
        const answer = await this.#peers.call(identity, region, (stub, call) => stub.receive(call, frame));
        if (answer.type === 'later') throw new Error(answer.why);
        this.#perform(entity.advance({type: 'answered', region, answer, told}, this.#now()));
      } catch (error) {
        if (error instanceof ReplicaDamaged) console.error('gossip:', error.message);
        this.#perform(entity.advance({type: 'failed', region}, this.#now()));
      }
      this.#wake(); // A search may be over without anything having changed.
    }

    // The catalog.

    #registerSoon(): void {
      const entity = this.#entity!;
      if (entity.registered) return;
      const again = async () => {
        // An alarm that stands tries it again as well.
        if (entity.mesh.armedAtMs === undefined) await this.ctx.storage.setAlarm(Date.now() + PEER_CALL_MS_MAX);
      };
      this.ctx.waitUntil(this.#register(entity).catch(again));
    }

    async #register(entity: Entity): Promise<void> {
      if (entity.registered) return;
      await this.#catalog.enter(entity.identity);
      if (entity.registered) return;
      entity.markRegistered();
      if (entity.mesh.armedAtMs === undefined) await this.ctx.storage.deleteAlarm();
    }
  };

const newestOf = (policies: readonly Policy[]): number => Math.max(0, ...policies.map(policy => policy.version));
