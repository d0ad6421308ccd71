// What must be true of an item after the replay, checked against a plain account of what was acknowledged: no dots, no
// joins, no regions. Only the logs are read with the platform's own decoder, to look at every state on the way.
import {createHash} from 'node:crypto';
import * as bounded from '../../crdt/bounded-counter.ts';
import {type Document, EMPTY_DOCUMENT, encodeState, fieldState, join} from '../../crdt/document.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import {decodeEntry, isSystemEvent} from '../../mesh/entry.ts';
import {fromBase64url} from '../../mesh/version-token.ts';
import {inventoryItem} from '../../schema/entities/inventory-item.ts';
import type {LogLine, ReplicaReport} from '../../schema/calls.ts';
import type {Command} from './commands.ts';
import {total} from './statistics.ts';

/** A command with 2xx, under the dot that the answer named. */
export interface Acknowledged {
  readonly command: Command;
  readonly dot: string;
}

export interface ReplicaEvidence {
  readonly report: Pick<ReplicaReport, 'region' | 'replica' | 'vector' | 'digest' | 'members' | 'rights'>;
  readonly view: {readonly stock: number; readonly sold: number};
  readonly log: readonly LogLine[];
}

export interface Evidence {
  readonly item: string;
  readonly acknowledged: readonly Acknowledged[];
  /** One for each region that was asked for the item. */
  readonly replicas: readonly ReplicaEvidence[];
}

export type Rule =
  | 'lost'
  | 'doubled'
  | 'unacknowledged'
  | 'altered'
  | 'stock'
  | 'sold'
  | 'below-zero'
  | 'conservation'
  | 'members'
  | 'vectors'
  | 'digests'
  | 'log'
  | 'liveness';

export interface Violation {
  readonly item: string;
  readonly rule: Rule;
  readonly detail: string;
}

/** The account: what came in is in stock or sold. */
export interface Account {
  readonly stock: number;
  readonly sold: number;
}

export function accountOf(acknowledged: readonly Acknowledged[]): Account {
  let [received, reserved, released] = [0, 0, 0];
  for (const {command} of acknowledged)
    if (command.name === 'receive') received += command.quantity;
    else if (command.name === 'reserve') reserved += command.quantity;
    else released += command.quantity;
  return {stock: received - reserved + released, sold: reserved - released};
}

export function violationsOf({item, acknowledged, replicas}: Evidence): readonly Violation[] {
  const found: Violation[] = [];
  const report = (rule: Rule, detail: string) => void found.push({item, rule, detail});
  const account = accountOf(acknowledged);
  for (const replica of replicas) {
    checkView(replica, account, report);
    checkLog(replica, acknowledged, report);
    checkEveryState(replica, report);
  }
  checkEqual(replicas, report);
  return found;
}

type Report = (rule: Rule, detail: string) => void;

function checkView({report: {region, rights}, view}: ReplicaEvidence, account: Account, report: Report): void {
  if (view.stock !== account.stock) report('stock', `${region} has ${view.stock}, the account ${account.stock}`);
  if (view.sold !== account.sold) report('sold', `${region} has ${view.sold}, the account ${account.sold}`);
  const sum = total(Object.values(rights.stock ?? {}).map(Number));
  if (sum !== view.stock) report('conservation', `${region}: rights of ${sum} for a stock of ${view.stock}`);
}

function checkLog({report: {region}, log}: ReplicaEvidence, acknowledged: readonly Acknowledged[], report: Report) {
  const lines = new Map<string, LogLine[]>();
  for (const line of log) {
    if (isSystemEvent(line.command)) continue;
    const key = line.idempotencyKey ?? `no key, ${line.dot}`;
    lines.set(key, [...(lines.get(key) ?? []), line]);
  }
  for (const {command, dot} of acknowledged) {
    const [line, ...more] = lines.get(command.key) ?? [];
    lines.delete(command.key);
    if (!line) report('lost', `${command.key} was acknowledged and is not in the log of ${region}`);
    else if (more.length > 0) report('doubled', `${command.key} is ${more.length + 1} times in the log of ${region}`);
    else if (line.dot !== dot || line.command !== command.name)
      report('altered', `${command.key} was ${command.name} ${dot}, ${region} has ${line.command} ${line.dot}`);
  }
  for (const key of lines.keys()) report('unacknowledged', `${key} is in the log of ${region}, but had no answer`);
}

/** Takes the log in again, entry by entry, as the replica did. */
function checkEveryState({report: {region, digest}, log}: ReplicaEvidence, report: Report): void {
  let document: Document = EMPTY_DOCUMENT;
  for (const [index, {seq, entry}] of log.entries()) {
    if (seq !== index + 1) return report('log', `${region}: row ${seq} stands where ${index + 1} should`);
    document = join(inventoryItem.shape, document, decodeEntry(inventoryItem.shape, fromBase64url(entry)!).document);
    const stock = fieldState(document, 'stock', bounded.boundedCounter);
    const below = [...bounded.rights(stock)].find(([, amount]) => amount < 0);
    if (bounded.value(stock) < 0) report('below-zero', `${region}: ${bounded.value(stock)} in stock after row ${seq}`);
    if (below) report('below-zero', `${region}: ${below[0]} has rights of ${below[1]} after row ${seq}`);
  }
  const state = createHash('sha256').update(encodeState(inventoryItem.shape, document)).digest('hex');
  if (state !== digest) report('digests', `the log of ${region} does not give the state that ${region} has`);
}

function checkEqual(replicas: readonly ReplicaEvidence[], report: Report): void {
  const [first, ...others] = replicas.map(replica => replica.report);
  if (!first) return report('members', 'no region has a replica');
  for (const other of others) {
    if (other.digest !== first.digest) report('digests', `${first.region} and ${other.region} differ`);
    if (!sameVector(first.vector, other.vector)) report('vectors', `${first.region} and ${other.region} differ`);
  }
  const asked = replicas.map(({report: {region, replica}}) => `${region} ${replica}`).sort();
  for (const {region, members} of [first, ...others]) {
    const live = members.filter(({role}) => role === 'member' || role === 'learner');
    const listed = live.map(member => `${member.region} ${member.replica}`).sort();
    if (listed.join() !== asked.join())
      report('members', `${region} knows ${listed.join()}, and there are ${asked.join()}`);
  }
}

export type Vector = ReplicaReport['vector'];

export const sameVector = (a: Vector, b: Vector): boolean =>
  Object.keys(a).length === Object.keys(b).length &&
  Object.entries(a).every(([replica, counter]) => b[replica as ReplicaId] === counter);
