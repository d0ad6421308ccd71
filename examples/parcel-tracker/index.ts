import {createPlatform} from 'sangam';
import {inventoryItem} from 'sangam/entities/inventory-item';
import {parcel} from './parcel.ts';

const platform = createPlatform({entityTypes: [parcel, inventoryItem]});

export {FenceActor} from 'sangam';
export default platform.worker;
export class EntityActor extends platform.EntityActor {}
