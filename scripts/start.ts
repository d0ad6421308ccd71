// `npm start`: the platform with four regions on this machine, a tenant to try it with, and lines to paste.
import {join} from 'node:path';
import {DEMO_TENANT, prepareDemoTenant, ROOT, startPlatform} from './local-platform.ts';

const PORT_DEFAULT = 8787;

const portText = process.env.PORT ?? String(PORT_DEFAULT);
const port = Number(portText);
if (!/^\d+$/.test(portText) || port > 65_535) {
  console.error(`PORT is a number up to 65535, not "${portText}"`);
  process.exit(1);
}
const data = process.env.SANGAM_DATA ?? join(ROOT, '.sangam');
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
