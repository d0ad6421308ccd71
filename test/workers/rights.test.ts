// Which refusals have other regions asked for rights.
import {expect, test} from 'vitest';
import * as capped from '../../crdt/capped-counter.ts';
import {Refusal} from '../../crdt/refusal.ts';
import {Rights, type RightsHost} from '../../durable-objects/rights.ts';
import {boundedCounter} from '../../schema/fields.ts';
import {IDS} from '../support/mesh-arbitraries.ts';

const unused = (): never => {
  throw new Error('somebody was asked');
};
const host: RightsHost = {request: unused, background: unused, seek: unused, until: unused, wake: unused};

test('[SCH66] a counter with a maximum refuses at once, since no region can be asked for what it lacks', async () => {
  const entity = {boundedFields: () => [], rights: unused, rightsByRegion: unused, requestsFor: unused};
  const sell = () => {
    const cell = {path: 'seats', author: {replica: IDS[0]}, state: () => capped.cappedCounter.empty, write: unused};
    boundedCounter({min: 0, max: 10})
      .editor(cell as never)
      .increment(1);
  };
  const refused = new Rights(host).runWithin(entity as never, 10_000, sell);
  await expect(refused).rejects.toThrow(Refusal);
  await expect(refused).rejects.toMatchObject({
    code: 'insufficient-capacity',
    facts: {field: 'seats', asked: 1, here: 0},
  });
});
