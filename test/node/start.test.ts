// `npm start` as a person meets it: what it prints works when pasted, and what it acknowledged is there after kill -9.
import {type ChildProcess, execFileSync, spawn, spawnSync} from 'node:child_process';
import {existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {afterAll, expect, test} from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const NODE = process.execPath;
const data = mkdtempSync(join(tmpdir(), 'sangam-start-'));
const started: ChildProcess[] = [];

interface Started {
  readonly child: ChildProcess;
  readonly url: string;
  readonly token: string;
  readonly output: string;
}

/** A process group of its own, so that workerd dies with it. */
function start(port = '0'): Promise<Started> {
  const env = {...process.env, PORT: port, SANGAM_DATA: data};
  const child = spawn(NODE, ['scripts/start.ts'], {cwd: ROOT, env, detached: true});
  started.push(child);
  let output = '';
  return new Promise((resolve, reject) => {
    child.once('exit', code => reject(new Error(`ended with ${code}: ${output}`)));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk));
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk;
      const url = /Sangam is ready: (\S+)/.exec(output)?.[1];
      const token = /token {5}(\S+)/.exec(output)?.[1];
      if (url && token && output.includes('Ctrl-C')) resolve({child, url, token, output});
    });
  });
}

function end({pid, exitCode, signalCode}: ChildProcess, signal: NodeJS.Signals): void {
  if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, signal);
}

const ended = (child: ChildProcess): Promise<number | null> =>
  new Promise(resolve =>
    child.exitCode === null && child.signalCode === null ? child.once('exit', resolve) : resolve(child.exitCode),
  );

afterAll(() => {
  for (const child of started) end(child, 'SIGKILL');
  rmSync(data, {recursive: true, force: true});
});

const hasCurl = spawnSync('curl', ['--version']).status === 0;

test.runIf(hasCurl)('[ST1] the three lines that it prints work when pasted, before and after kill -9', async () => {
  const first = await start();
  expect((await fetch(`${first.url}/healthz`)).status).toBe(200);
  const lines = first.output.split('\n').filter(line => line.startsWith('curl '));
  expect(lines).toHaveLength(3);
  const answers = lines.map(
    line => JSON.parse(execFileSync('bash', ['-c', `${line} -s`], {encoding: 'utf8'})) as object,
  );
  expect(answers).toMatchObject([
    {region: 'weur', entity: {stock: 10}},
    {region: 'apac-ne', entity: {stock: 7, sold: 3}},
    {region: 'enam', entity: {stock: 7, sold: 3}},
  ]);
  end(first.child, 'SIGKILL');
  await ended(first.child);

  const second = await start();
  expect(second.token).toBeTypeOf('string');
  const headers = {Authorization: `Bearer ${first.token}`, 'Sangam-Region': 'apac-ne'};
  const again = await fetch(`${second.url}/v1/demo/inventory-item/tea`, {headers});
  expect(await again.json()).toMatchObject({entity: {stock: 7, sold: 3}});

  // A second platform on the same folder would be a second timeline of every replica.
  await expect(start()).rejects.toThrow(/is in use by process/);
  end(second.child, 'SIGTERM');
  expect([0, 143]).toContain(await ended(second.child)); // By itself, not by SIGKILL.
});

/** The files that hold all of these texts, in themselves or in what lies beside them. */
const filesWith = (...texts: readonly string[]): readonly string[] =>
  readdirSync(data, {recursive: true, encoding: 'utf8'})
    .filter(name => name.endsWith('.sqlite'))
    .map(name => join(data, name))
    .filter(path => {
      const held = [path, `${path}-wal`].filter(existsSync).map(one => readFileSync(one, 'latin1'));
      return texts.every(text => held.some(one => one.includes(text)));
    });

test('[ST3] an object whose file cannot be opened any more is fetched from another region', async () => {
  const first = await start();
  const path = '/v1/demo/inventory-item/coffee';
  const headers = {Authorization: `Bearer ${first.token}`};
  const body = JSON.stringify({quantity: 10});
  const received = await fetch(`${first.url}${path}/commands/receive`, {
    method: 'POST',
    headers: {...headers, 'Sangam-Region': 'weur', 'Sangam-Consistency': 'regions:2'},
    body,
  });
  expect(received.status).toBe(200);
  const read = (url: string, region: string) => fetch(url + path, {headers: {...headers, 'Sangam-Region': region}});
  expect(await (await read(first.url, 'enam')).json()).toMatchObject({entity: {stock: 10}});
  end(first.child, 'SIGKILL');
  await ended(first.child);
  const [file, ...others] = filesWith('"type":"inventory-item","id":"coffee"', '"region":"weur"');
  expect(others).toEqual([]);
  for (const one of [file!, `${file!}-wal`]) if (existsSync(one)) truncateSync(one, 3_000);

  const second = await start();
  await expect
    .poll(async () => (await (await read(second.url, 'weur')).json()) as object, {timeout: 30_000, interval: 100})
    .toMatchObject({entity: {stock: 10}});
  end(second.child, 'SIGTERM');
  await ended(second.child);
});

test('[ST2] a port that is no port, or taken, is refused in one line', async () => {
  const run = (port: string) =>
    spawnSync(NODE, ['scripts/start.ts'], {
      cwd: ROOT,
      env: {...process.env, PORT: port, SANGAM_DATA: data},
      encoding: 'utf8',
    });
  for (const port of ['http', '70000', '-1', '1']) {
    if (port === '1' && process.getuid?.() === 0) continue; // Root may take it.
    const {status, stderr} = run(port);
    expect([status, stderr.trim().split('\n').length]).toEqual([1, 1]);
  }
});
