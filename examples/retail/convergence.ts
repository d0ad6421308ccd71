// Waits until the replicas of an item are the same, or have nothing left to do.
import type {ReplicaReport} from '../../schema/calls.ts';
import {runAll} from './in-flight.ts';
import {sameVector, type Violation} from './oracle.ts';
import type {ShopClient} from './shop-client.ts';

/** A peer that could not be reached is tried again within 15 s. Several times that, and it is not slow but broken. */
const WAIT_MS_MAX = 120_000;
const ROUND_MS = 50;
const WIDTH = 8;

export interface Wait {
  readonly items: number;
  /** Until the last of them was seen to be as it should. */
  readonly ms: number;
  readonly violations: readonly Violation[];
}

type RegionsOf = ReadonlyMap<string, ReadonlySet<string>>;
/** Undefined when all is well. */
type Complaint = (reports: readonly ReplicaReport[]) => string | undefined;

async function waitFor(client: ShopClient, regionsOf: RegionsOf, complaint: Complaint): Promise<Wait> {
  const startMs = performance.now();
  const elapsed = () => performance.now() - startMs;
  let pending = new Map([...regionsOf.keys()].map(item => [item, '']));
  let ms = 0;
  while (pending.size > 0 && elapsed() < WAIT_MS_MAX) {
    const next = new Map<string, string>();
    await runAll(pending.keys(), WIDTH, async item => {
      const regions = [...regionsOf.get(item)!];
      const reports = regions.map(region => client.read<ReplicaReport>(item, region, '/replicas'));
      const found = complaint(await Promise.all(reports));
      if (found) next.set(item, found);
      else ms = elapsed();
    });
    pending = next;
    if (pending.size > 0) await new Promise(resolve => setTimeout(resolve, ROUND_MS));
  }
  const violations = [...pending].map(([item, found]): Violation => {
    return {item, rule: 'liveness', detail: `${found} after ${WAIT_MS_MAX / 1000} s`};
  });
  return {items: regionsOf.size, ms, violations};
}

/** Items that one region alone holds have nothing to wait for. */
export function untilConverged(client: ShopClient, regionsOf: RegionsOf): Promise<Wait> {
  const shared = new Map([...regionsOf].filter(([, regions]) => regions.size > 1));
  return waitFor(client, shared, ([first, ...others]) => {
    const other = others.find(({digest, vector}) => digest !== first!.digest || !sameVector(vector, first!.vector));
    return other && `${first!.region} and ${other.region} still differ`;
  });
}

/** No alarm is set: nothing is to be sent, looked for or registered any more. */
export const untilAtRest = (client: ShopClient, regionsOf: RegionsOf): Promise<Wait> =>
  waitFor(client, regionsOf, reports => {
    const busy = reports.find(({alarmAt}) => alarmAt !== null);
    return busy && `${busy.region} is not at rest`;
  });
