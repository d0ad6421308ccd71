// Runs before everything else, on whatever Node the machine has: installs what the lockfile says, once.
import {spawnSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const stamp = `${root}node_modules/.installed-lockfile`;
const wanted = createHash('sha256')
  .update(readFileSync(`${root}package-lock.json`))
  .digest('hex');

if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
  console.log('Installing dependencies (once) …');
  const {status} = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], {cwd: root, stdio: 'inherit'});
  if (status !== 0) process.exit(status ?? 1);
  writeFileSync(stamp, wanted);
}

// Node 24 comes with the lockfile on Linux; elsewhere the machine's own must be able to run TypeScript.
const own = `${root}node_modules/.bin/node`;
const {stdout} = spawnSync(existsSync(own) ? own : 'node', ['-v'], {encoding: 'utf8'});
const [major, minor] = stdout.slice(1).split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  console.error(
    `Node ${stdout.trim()} is too old here, and no Node 24 package exists for ${process.platform}: install Node 24.`,
  );
  process.exit(1);
}
