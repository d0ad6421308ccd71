// What `npm run deploy` deploys: the platform with the built-in entity types.
export {FenceActor} from '../durable-objects/fence-actor.ts';
export {LinkActor} from '../durable-objects/link-actor.ts';
import {deviceController} from '../schema/entities/device-controller.ts';
import {inventoryItem} from '../schema/entities/inventory-item.ts';
import {createPlatform} from './platform.ts';

const platform = createPlatform({entityTypes: [inventoryItem, deviceController]});

export default platform.worker;
export class EntityActor extends platform.EntityActor {}
