// The same platform for one machine: its regions are one process, so the links between them can be cut and delayed. Only
// this entry has them; `npm run deploy` builds another.
export {FenceActor} from '../durable-objects/fence-actor.ts';
export {LinkActor} from '../durable-objects/link-actor.ts';
import {deviceController} from '../schema/entities/device-controller.ts';
import {inventoryItem} from '../schema/entities/inventory-item.ts';
import {addLinkRoutes, FaultyLinks} from './local-links.ts';
import {createPlatform} from './platform.ts';

const links = new FaultyLinks();
const platform = createPlatform({
  entityTypes: [inventoryItem, deviceController],
  links,
  addRoutes: routes => addLinkRoutes(routes, links),
});

export default platform.worker;
export class EntityActor extends platform.EntityActor {}
