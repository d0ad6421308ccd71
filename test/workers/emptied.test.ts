// Goal: a region that has lost the platform's own replicas says so. Nobody is turned away, and nothing is decided, by what an
// empty one does not know.
import {evictDurableObject, runInDurableObject} from 'cloudflare:test';
import {beforeEach, expect, test} from 'vitest';
import {tenantAddress} from '../../durable-objects/policy-reader.ts';
import {directoryOf} from '../../workers/tenants.ts';
import {testBindings} from '../support/bindings.ts';
import {stubAt} from '../support/objects.ts';
import {type Answer, type Client, createTenant, expectProblem, REGIONS, setLink, until} from '../support/platform.ts';

const tea = '/inventory-item/tea';

beforeEach(async () => {
  for (const region of REGIONS) await setLink(region, undefined, true);
});

const configuration = (client: Client, region: string) => stubAt(tenantAddress(client.tenant), region);
const shard = (client: Client, region: string) => stubAt(directoryOf(testBindings, client.tenant).address, region);

const faults: [what: string, spoil: (stub: DurableObjectStub) => Promise<void>][] = [
  ['lost', stub => runInDurableObject(stub, (_actor, {storage}) => storage.deleteAll())],
  [
    'damaged',
    stub =>
      runInDurableObject(stub, (_actor, {storage}) => {
        storage.sql.exec(`update log set hash = zeroblob(32) where seq = 2`);
      }),
  ],
];
const replicas = [
  ['the configuration', configuration],
  ['the directory', shard],
] as const;
const cases = replicas.flatMap(([which, stubOf]) =>
  faults.map(([what, spoil]) => [which, what, stubOf, spoil] as const),
);

async function settled(client: Client): Promise<void> {
  for (const region of REGIONS) await client.command(region, tea, 'receive', {quantity: 5});
  for (const [, stubOf] of replicas)
    for (const region of REGIONS)
      await until(async () => {
        const alarm = await runInDurableObject(stubOf(client, region), (_actor, {storage}) => storage.getAlarm());
        return alarm === null;
      }, 2_000);
}

test.each(cases)('[EMP1] %s is %s: a valid token is never answered 401', async (_which, _what, stubOf, spoil) => {
  const client = await createTenant();
  await settled(client);
  await setLink('weur', undefined, false);
  const stub = stubOf(client, 'weur');
  await spoil(stub);
  await evictDurableObject(stub);
  for (let tries = 0; tries < 3; tries++) {
    const answer = await client.read('weur', tea);
    console.log(answer.status, answer.text);
    expectProblem(answer, 'replica-recovering');
    expect(answer.headers.get('Retry-After')).toBe('1');
  }
  await setLink('weur', undefined, true);
  const answers: Answer[] = [];
  await until(async () => {
    const answer = await client.read('weur', tea);
    if (answer.status !== 200) answers.push(answer);
    return answer.status === 200;
  }, 2_000);
  for (const answer of answers) expectProblem(answer, 'replica-recovering');
});
