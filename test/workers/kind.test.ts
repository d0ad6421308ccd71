// What an entity type means for its replicas.
import {expect, test} from 'vitest';
import {kindOf} from '../../durable-objects/kind.ts';
import type {EntityType} from '../../schema/entity-type.ts';
import {entityType} from '../../schema/entity-type.ts';
import {boundedCounter} from '../../schema/fields.ts';

test('[SCH66] rights of a counter with a maximum are asked of nobody: what is refused for want of them is refused at once', () => {
  const type = entityType('hall', {fields: {seats: boundedCounter({min: 0, max: 10}), left: boundedCounter({min: 0})}});
  expect(kindOf(type as EntityType).bounded).toEqual(['left']);
});
