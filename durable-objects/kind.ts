// What an entity type means for its replicas.
import * as bounded from '../crdt/bounded-counter.ts';
import {LIMITS, type Kind} from '../mesh/replica.ts';
import type {EntityType} from '../schema/entity-type.ts';

const kinds = new WeakMap<EntityType, Kind>();

export function kindOf(type: EntityType, limits = LIMITS): Kind {
  const known = limits === LIMITS ? kinds.get(type) : undefined;
  if (known) return known;
  const fields = Object.entries(type.fields).filter(([, field]) => field.type === bounded.boundedCounter);
  const kind = {
    shape: type.shape,
    eager: type.replication === 'everywhere',
    bounded: fields.map(([name]) => name),
    internal: type.internal,
    limits,
  };
  if (limits === LIMITS) kinds.set(type, kind);
  return kind;
}
