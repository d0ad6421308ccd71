// The platform as a process of its own, so that it can be killed. Says in one line of JSON where it is, and ends with
// whoever started it. Arguments: port, data folder, and a region to cut off before anything else is done.
import {prepareDemoTenant, startPlatform} from '../../scripts/local-platform.ts';

const [port, data, cut] = process.argv.slice(2) as [string, string, string?];
const platform = await startPlatform({port: Number(port), data});
// A restart brings every link up, and gossip begins at once: for some milliseconds, until this arrives, nothing is cut.
if (cut) {
  const body = JSON.stringify({from: cut, up: false});
  const {ok} = await fetch(`${platform.url}/dev/links`, {method: 'POST', body});
  if (!ok) throw new Error(`${cut} could not be cut off`);
}
await prepareDemoTenant(platform);
console.log(JSON.stringify({url: platform.url, token: platform.token}));

// The pipe closes when the parent is gone, however it went.
process.stdin.resume().on('end', () => void platform.stop().finally(() => process.exit(0)));
