import type {Workload} from './workload.ts';
import {counters} from './workloads/counters.ts';
import {entities} from './workloads/entities.ts';
import {entity} from './workloads/entity.ts';
import {growth} from './workloads/growth.ts';
import {map} from './workloads/map.ts';
import {open} from './workloads/open.ts';
import {reconnect} from './workloads/reconnect.ts';
import {set} from './workloads/set.ts';

export const WORKLOADS: readonly Workload[] = [counters, map, set, entity, reconnect, open, entities, growth];
