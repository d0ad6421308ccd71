// Reads back everything that the regions hold, item by item, and hands it to the oracle.
import type {LogReply, ReplicaReport} from '../../schema/calls.ts';
import {isSystemEvent} from '../../mesh/entry.ts';
import {runAll} from './in-flight.ts';
import {type Acknowledged, type ReplicaEvidence, type Violation, violationsOf} from './oracle.ts';
import type {ShopClient} from './shop-client.ts';

const PAGE_ROWS = 500;
const WIDTH = 8;

export interface Verdict {
  readonly violations: readonly Violation[];
  readonly replicas: number;
  /** Log rows of commands where they were given, and of system events there. */
  readonly commandRows: number;
  readonly systemRows: Readonly<Record<string, number>>;
  /** Log rows that came from another region. */
  readonly replicatedRows: number;
  /** Of every command's delta, as it is stored and sent. */
  readonly deltaBytes: readonly number[];
  /** Replicas with an alarm still set: something that they wait for. */
  readonly alarms: number;
}

async function replicaEvidence(client: ShopClient, item: string, region: string) {
  const report = await client.read<ReplicaReport>(item, region, '/replicas');
  const {entity} = await client.read<{entity: {stock: unknown; sold: unknown}}>(item, region);
  const log = [];
  for (let after: number | undefined = 0; after !== undefined;) {
    const page: LogReply = await client.read(item, region, `/log?after=${after}&limit=${PAGE_ROWS}`);
    log.push(...page.entries);
    after = page.next;
  }
  return {report, view: {stock: Number(entity.stock), sold: Number(entity.sold)}, log};
}

/** What each item's regions hold, checked. `regions` are those that were asked for it, and so hold a replica. */
export async function verify(
  client: ShopClient,
  regionsOf: ReadonlyMap<string, ReadonlySet<string>>,
  acknowledged: ReadonlyMap<string, readonly Acknowledged[]>,
  onItem: (done: number) => void,
): Promise<Verdict> {
  const violations: Violation[] = [];
  const deltaBytes: number[] = [];
  const systemRows: Record<string, number> = {};
  let [done, replicas, commandRows, replicatedRows, alarms] = [0, 0, 0, 0, 0];
  await runAll(regionsOf, WIDTH, async ([item, regions]) => {
    const evidence: (ReplicaEvidence & {report: ReplicaReport})[] = [];
    for (const region of regions) {
      evidence.push(await replicaEvidence(client, item, region));
    }
    violations.push(...violationsOf({item, acknowledged: acknowledged.get(item) ?? [], replicas: evidence}));
    // By event, not by replica: one that was killed goes on under another id, and its log is the same.
    const events = new Set<string>();
    for (const {report, log} of evidence) {
      replicas++;
      if (report.alarmAt !== null) alarms++;
      for (const {dot, command, entry} of log)
        if (events.has(dot)) replicatedRows++;
        else if (events.add(dot) && isSystemEvent(command)) systemRows[command] = (systemRows[command] ?? 0) + 1;
        else {
          commandRows++;
          deltaBytes.push(Buffer.byteLength(entry, 'base64url'));
        }
    }
    onItem(++done);
  });
  return {violations, replicas, commandRows, systemRows, replicatedRows, deltaBytes, alarms};
}
