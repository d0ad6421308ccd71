// `npm start`: the platform with four regions on this machine, a tenant to try it with, and lines to paste.
import {existsSync, mkdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';
import {DEMO_TENANT, prepareDemoTenant, ROOT, startPlatform} from './local-platform.ts';

const PORT_DEFAULT = 8787;

function refuse(message: string): never {
  console.error(message);
  process.exit(1);
}

/** Asked before workerd does: it would answer with a stack of its own. */
async function demandFreePort(wanted: number): Promise<void> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => probe.once('error', reject).listen(wanted, '127.0.0.1', resolve)).catch(
    (error: NodeJS.ErrnoException) => refuse(`port ${wanted} cannot be used (${error.code}); set PORT to another one`),
  );
  await new Promise(resolve => probe.close(resolve));
}

/** Two platforms on one folder would be two timelines of every replica. A lock that its process left behind is taken over. */
function lockFolder(folder: string): void {
  mkdirSync(folder, {recursive: true});
  const lock = join(folder, 'lock');
  const holder = existsSync(lock) ? Number(readFileSync(lock, 'utf8')) : 0;
  if (holder > 0 && holder !== process.pid && isAlive(holder))
    refuse(`${folder} is in use by process ${holder}; stop it, or set SANGAM_DATA to another folder`);
  writeFileSync(lock, String(process.pid));
  process.once('exit', () => rmSync(lock, {force: true}));
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

const portText = process.env.PORT ?? String(PORT_DEFAULT);
const port = Number(portText);
if (!/^\d+$/.test(portText) || port > 65_535) refuse(`PORT is a number up to 65535, not "${portText}"`);
const data = process.env.SANGAM_DATA ?? join(ROOT, '.sangam');
await demandFreePort(port);
lockFolder(data);
const platform = await startPlatform({port, data});
await prepareDemoTenant(platform);

const {url, token} = platform;
const item = `${url}/v1/${DEMO_TENANT}/inventory-item/tea`;
const auth = `-H 'Authorization: Bearer ${token}'`;

console.log(`Sangam is ready: ${url}

  regions   enam, weur, apac-ne, apac-se
  storage   ${data}
  API       ${url}/openapi.json
  tenant    ${DEMO_TENANT}
  token     ${token}

Receive ten in Frankfurt, sell three in Tokyo, look from Virginia:

curl -X POST '${item}/commands/receive' ${auth} -H 'Sangam-Region: weur' -d '{"quantity": 10}'

curl -X POST '${item}/commands/reserve?wait=2000' ${auth} -H 'Sangam-Region: apac-ne' -d '{"quantity": 3}'

curl '${item}' ${auth} -H 'Sangam-Region: enam'

Cut Tokyo off: curl -X POST ${url}/dev/links -d '{"from": "apac-ne", "up": false}'
Stop with Ctrl-C; what was acknowledged is in the storage.`);

let stopping = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    if (stopping) return;
    stopping = true;
    void platform.stop().finally(() => process.exit(0));
  });
