// Storage whose file opens, and whose pages cannot be read: what no statement inside the runtime can bring about.
import {mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {afterAll, afterEach, beforeAll, expect, test} from 'vitest';
import {DEMO_TENANT, type LocalPlatform, prepareDemoTenant, startPlatform} from '../../scripts/local-platform.ts';

const data = mkdtempSync(join(tmpdir(), 'sangam-damage-'));
let platform: LocalPlatform;

const begin = async () => (platform = await startPlatform({port: 0, data}));

beforeAll(async () => prepareDemoTenant(await begin()));
afterEach(begin);
afterAll(async () => {
  await platform.stop();
  rmSync(data, {recursive: true, force: true});
});

async function send(region: string, item: string, command?: string, quantity?: number) {
  const path = `${platform.url}/v1/${DEMO_TENANT}/inventory-item/${item}${command ? `/commands/${command}` : ''}`;
  const headers = {
    Authorization: `Bearer ${platform.token}`,
    'Sangam-Region': region,
    'Sangam-Consistency': 'regions:2',
  };
  const answer = await fetch(
    path,
    command
      ? {method: 'POST', headers, body: JSON.stringify({quantity})}
      : {headers: {...headers, 'Sangam-Consistency': 'local'}},
  );
  return {status: answer.status, json: (await answer.json()) as {code?: string; entity?: unknown}};
}

/** All databases below the storage that hold such a table and, in themselves, such a text. */
const databasesWith = (table: string, ...texts: readonly string[]): readonly string[] =>
  readdirSync(join(data, 'storage'), {recursive: true, encoding: 'utf8'})
    .filter(name => name.endsWith('.sqlite'))
    .map(name => join(data, 'storage', name))
    .filter(path => {
      const database = new DatabaseSync(path);
      database.exec('pragma wal_checkpoint(truncate)'); // So that the file has all there is.
      const has = database.prepare('select 1 from sqlite_master where name = ?').get(table) !== undefined;
      database.close();
      return has && texts.every(text => readFileSync(path, 'latin1').includes(text));
    });

/** Overwrites the page at which a table begins. */
function spoilPage(path: string, table: string): void {
  const database = new DatabaseSync(path, {readOnly: true});
  const {rootpage} = database.prepare('select rootpage from sqlite_master where name = ?').get(table)!;
  const {page_size: pageBytes} = database.prepare('pragma page_size').get()!;
  database.close();
  const bytes = readFileSync(path);
  bytes.fill(0, (Number(rootpage) - 1) * Number(pageBytes), Number(rootpage) * Number(pageBytes));
  writeFileSync(path, bytes);
}

test.each(['log', 'meta', 'state'])(
  '[ACT14] a replica whose table "%s" cannot be read is fetched from another region',
  async table => {
    const item = `with-${table}`;
    expect((await send('weur', item, 'receive', 10)).status).toBe(200);
    expect((await send('enam', item)).json).toMatchObject({entity: {stock: 10}});
    await platform.stop();
    const [file, ...others] = databasesWith(table, `"id":"${item}"`, '"region":"weur"');
    expect(others).toEqual([]);
    spoilPage(file!, table);
    await begin();
    await expect
      .poll(async () => (await send('weur', item)).json, {timeout: 30_000})
      .toMatchObject({entity: {stock: 10}});
    await expect.poll(async () => (await send('weur', item, 'reserve', 1)).status, {timeout: 30_000}).toBe(200);
    await platform.stop();
  },
);

test('[FEN11] fences that cannot be read forget what they knew, and hold up nobody', async () => {
  expect((await send('weur', 'fenced', 'receive', 10)).status).toBe(200);
  await platform.stop();
  const fences = databasesWith('fence');
  expect(fences).not.toEqual([]);
  for (const path of fences) spoilPage(path, 'fence');
  await begin();
  await expect.poll(async () => (await send('weur', 'fenced', 'reserve', 4)).status, {timeout: 30_000}).toBe(200);
  expect((await send('weur', 'fenced')).json).toMatchObject({entity: {stock: 6}});
  await platform.stop();
});
