import {createRandom, hashOf} from '../random.ts';
import type {EntityReplica, Scalar, Subject} from '../subject.ts';
import {type Conditions, disposeAll, expectEqual, onceForEachScale, range, sorted, type Workload} from '../workload.ts';
import {drawEdit, drawItem} from './inventory.ts';

const REPLICAS = 3;
const EDITS = {full: 5_000, quick: 300};

const planOf = onceForEachScale(scale => {
  const random = createRandom(4);
  return {initial: drawItem(random, 0), edits: range(EDITS[scale]).map(() => drawEdit(random))};
});

const contentOf = (content: Readonly<Record<string, Scalar>>): string =>
  JSON.stringify(sorted(Object.entries(content)));

function expectedOf(scale: 'full' | 'quick'): string {
  const {initial, edits} = planOf(scale);
  const content: Record<string, Scalar> = {...initial};
  for (const edit of edits) content[edit.field] = 'by' in edit ? (content[edit.field] as number) + edit.by : edit.value;
  return contentOf(content);
}

function createReplicas(subject: Subject, scale: 'full' | 'quick'): readonly EntityReplica[] {
  const first = subject.createEntity(0, planOf(scale).initial);
  const snapshot = first.snapshot();
  return [first, ...range(REPLICAS - 1).map(index => subject.openEntity(index + 1, snapshot))];
}

interface Pass {
  readonly replicas: readonly EntityReplica[];
  readonly bytes: number;
  readonly encodeMs: number;
  readonly decodeMs: number;
}

/** Both parts are timed edit by edit. Where the clock steps by more than an edit lasts, the steps fall into the parts as often as each lasts. */
function editInTurn(subject: Subject, scale: 'full' | 'quick', {nowMs}: Conditions): Pass {
  const replicas = createReplicas(subject, scale);
  let [bytes, encodeMs, decodeMs] = [0, 0, 0];
  for (const [index, edit] of planOf(scale).edits.entries()) {
    const writer = replicas[index % REPLICAS]!;
    const [second, third] = [replicas[(index + 1) % REPLICAS]!, replicas[(index + 2) % REPLICAS]!];
    const startMs = nowMs();
    if ('by' in edit) writer.increment(edit.field, edit.by);
    else writer.set(edit.field, edit.value);
    const frame = writer.flush();
    const sentMs = nowMs();
    second.receive(frame);
    third.receive(frame);
    decodeMs += nowMs() - sentMs;
    encodeMs += sentMs - startMs;
    bytes += frame.length;
  }
  return {replicas, bytes, encodeMs, decodeMs};
}

export const entity: Workload = {
  id: 'W4',
  title: 'inventory entity of 12 fields: 5k single edits by 3 replicas in turn, each sent at once',
  metrics: [
    {id: 'bytesPerEdit', title: 'bytes per edit'},
    {id: 'shareOfJsonPercent', title: 'share of the JSON, %'},
    {id: 'encodeUs', title: 'edit + encode, µs'},
    {id: 'decodeUs', title: 'decode + apply, µs'},
    {id: 'stateBytes', title: 'state after the edits, bytes'},
  ],
  runtimes: ['node', 'workerd'],
  runsMin: 15,
  operationsHash: scale => hashOf(planOf(scale)),

  run(subject, scale, conditions) {
    const edits = EDITS[scale];
    let [encodeMs, decodeMs, passes] = [0, 0, 0];
    let pass: Pass;
    for (;;) {
      pass = editInTurn(subject, scale, conditions);
      encodeMs += pass.encodeMs;
      decodeMs += pass.decodeMs;
      passes++;
      if (encodeMs + decodeMs >= conditions.lastsMsMin) break;
      disposeAll(pass.replicas);
    }
    const {replicas, bytes} = pass;
    const snapshot = replicas[0]!.snapshot();
    const right = expectedOf(scale);
    const reopened = subject.openEntity(1, snapshot);
    for (const replica of [...replicas, reopened])
      expectEqual(contentOf(replica.view()), right, `${subject.name}'s entity`);
    disposeAll([...replicas, reopened]);
    const bytesPerEdit = bytes / edits;
    const json = JSON.stringify(planOf(scale).initial).length;
    const metrics = {
      bytesPerEdit,
      shareOfJsonPercent: (bytesPerEdit / json) * 100,
      encodeUs: (encodeMs * 1_000) / edits / passes,
      decodeUs: (decodeMs * 1_000) / edits / passes / (REPLICAS - 1),
      stateBytes: snapshot.length,
    };
    return {metrics, content: hashOf(right)};
  },
};
