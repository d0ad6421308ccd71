// The catalogs that list an entity's replicas: the one in its own region, which it enters itself into, and those of the
// other regions, which are asked before any object there is. To ask an object that does not exist would make one.
import {catalog} from '../schema/system-types.ts';
import type {Call} from '../schema/calls.ts';
import type {Located, PeerCalls} from './peer-calls.ts';
import type {PolicyReader} from './policy-reader.ts';
import {settledOf} from './replies.ts';

export class RegionalCatalog {
  readonly #policies: PolicyReader;
  readonly #peers: PeerCalls;
  #entering: Promise<void> | undefined;

  constructor(policies: PolicyReader, peers: PeerCalls) {
    this.#policies = policies;
    this.#peers = peers;
  }

  /** Enters the replica, once however often it is asked for. A call next door, after the acknowledgement. */
  enter(entity: Located): Promise<void> {
    this.#entering ??= this.#enter(entity).finally(() => (this.#entering = undefined));
    return this.#entering;
  }

  async #enter(entity: Located): Promise<void> {
    const {address, place} = entity;
    const listed = await this.#listing(entity);
    const input = {region: place.region, id: address.id};
    const reply = await this.#peers.call(listed, place.region, (stub, call) =>
      stub.command(call, 'register', input, {}),
    );
    if (!reply.ok) throw new Error(`catalog: ${reply.problem.code}`);
  }

  /** The regions that hold the entity, as the catalog of `region` knows: of its own it knows for sure. */
  async holders(entity: Located, region: string): Promise<readonly string[]> {
    const listed = await this.#listing(entity);
    return settledOf(await this.#peers.call(listed, region, (stub, call) => stub.holders(call, entity.address.id)));
  }

  async #listing({address, place, tenantJurisdiction}: Located): Promise<Located> {
    const id = await this.#policies.catalogOf({address, place, tenantJurisdiction});
    const {tenant} = address;
    return {address: {tenant, type: catalog.name, id}, place, tenantJurisdiction} satisfies Partial<Call>;
  }
}
