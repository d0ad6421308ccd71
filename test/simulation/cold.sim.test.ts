// Goal: a replica that nobody uses costs nobody anything for long.
// Method: three regions come to hold an entity, one is not used any more, and the entity is written to elsewhere.
import {expect, test} from 'vitest';
import * as bounded from '../../crdt/bounded-counter.ts';
import {fieldState} from '../../crdt/document.ts';
import {isGone, members} from '../../mesh/membership.ts';
import {inventoryItem} from '../../schema/entities/inventory-item.ts';
import type {EntityType} from '../../schema/entity-type.ts';
import {Simulator} from './simulator.ts';

test('[MEM11] a replica that no client has used for long retires by itself when it is next written to, with its rights', () => {
  const coldMs = 60_000;
  const sim = new Simulator({seed: 3, regions: 3, type: inventoryItem as EntityType, limits: {coldMs}});
  const [west, east, south] = sim.regions as [string, string, string];
  for (const region of [west, east, south]) sim.command(region, 'receive', {quantity: 2});
  sim.rest();
  const later = (ms: number) => {
    sim.world.in(ms, () => {});
    sim.run(ms);
  };
  later(coldMs / 2);
  for (const region of [west, south]) sim.read(region);
  later(coldMs / 2 + 1);
  expect(sim.host(east).held).toBeDefined(); // Nothing rings for it: it is there until somebody writes.
  sim.command(west, 'receive', {quantity: 1});
  sim.rest();
  expect(sim.host(east).store.exists).toBe(false);
  for (const region of [west, south]) {
    const all = [...members(sim.host(region).held!.document).values()];
    expect(all.filter(member => member.region === east).every(isGone)).toBe(true);
  }
  sim.demandConverged();
  const {id, document} = sim.host(south).held!;
  const rights = bounded.rights(fieldState(document, 'stock', bounded.boundedCounter));
  expect((rights.get(id) as number) + (rights.get(sim.host(west).held!.id) as number)).toBe(7);
});
