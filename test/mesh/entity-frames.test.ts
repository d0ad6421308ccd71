// How an entity builds frames out of its log, on the real store.
import {expect, test} from 'vitest';
import {EMPTY_VECTOR} from '../../crdt/version-vector.ts';
import {Entity} from '../../durable-objects/entity.ts';
import {EntityStore} from '../../durable-objects/entity-store.ts';
import {inventoryItem} from '../../schema/entities/inventory-item.ts';
import {type EntityType, runCommand} from '../../schema/entity-type.ts';
import {IDS} from '../support/mesh-arbitraries.ts';
import {Disk} from '../support/sim-sql.ts';

const TYPE = inventoryItem as unknown as EntityType;
const around = {nowMs: 1_000, random: () => 0.5};

function entityWith(events: number): Entity {
  const address = {tenant: 'acme', type: TYPE.name, id: 'tea'};
  const place = {region: 'weur', jurisdiction: undefined};
  const identity = {address, place, tenantJurisdiction: undefined, replica: IDS[0]};
  const {entity} = Entity.create(new EntityStore(new Disk().sql), TYPE, identity, ['enam'], around);
  for (let event = 1; event < events; event++)
    entity.write(
      'receive',
      undefined,
      head => runCommand(TYPE, entity.document, head, 'receive', {quantity: 1}),
      around,
    );
  return entity;
}

const relay = {type: 'send', to: 'enam', relay: true, pull: false, unreached: []} as const;

test('[FR13] a relay carries everything that its receiver lacks, in the order of the log', () => {
  const entity = entityWith(5);
  expect(entity.frameFor({...relay, cover: EMPTY_VECTOR}, 1)).toMatchObject({
    entries: {length: 5},
    since: EMPTY_VECTOR,
  });
  const cover = new Map([[IDS[0], 3]]);
  expect(entity.frameFor({...relay, cover}, 1)).toMatchObject({entries: {length: 2}, since: cover});
  expect(entity.frameFor({...relay, cover: entity.vector}, 1).entries).toEqual([]);
});

// A cursor that outlived what it was derived from would leave a hole in the frames to a replica taken for more than it is.
test('[FR14] a relay leaves out nothing when its receiver turns out to hold less than was thought', () => {
  const entity = entityWith(5);
  entity.frameFor({...relay, cover: entity.vector}, 1);
  expect(entity.frameFor({...relay, cover: EMPTY_VECTOR}, 1)).toMatchObject({
    entries: {length: 5},
    since: EMPTY_VECTOR,
  });
});
