// What a user's own project depends on: the packed package, built and checked as they would.
import {spawnSync} from 'node:child_process';
import {cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {afterAll, beforeAll, expect, test} from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'sangam-package-'));
const modules = join(folder, 'node_modules');

function run(command: string, args: readonly string[], cwd: string): string {
  const {status, stdout, stderr} = spawnSync(command, args, {cwd, encoding: 'utf8'});
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

const wrangler = (cwd: string, ...args: string[]) => run(join(ROOT, 'node_modules/.bin/wrangler'), args, cwd);

beforeAll(() => {
  const [{filename}] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', folder], ROOT)) as [
    {filename: string},
  ];
  mkdirSync(join(modules, 'sangam'), {recursive: true});
  run('tar', ['-xzf', join(folder, filename), '--strip-components=1', '-C', join(modules, 'sangam')], folder);
  for (const dependency of ['itty-router', 'jose', 'zod'])
    symlinkSync(join(ROOT, 'node_modules', dependency), join(modules, dependency));
  cpSync(join(ROOT, 'examples/parcel-tracker'), folder, {recursive: true});
});

afterAll(() => rmSync(folder, {recursive: true}));

test('[PKG1] a project with types of its own builds on the packed package', () => {
  expect(wrangler(folder, 'deploy', '--dry-run', '--outdir', 'dist')).toMatch(/Total Upload: /);
  const bundle = readFileSync(join(folder, 'dist/index.js'), 'utf8');
  expect(bundle).toContain('entityType("parcel"');
  expect(bundle).not.toContain('device-controller');
  expect(bundle).toContain('FenceActor'); // Without it no replica can write.
});

test('[PKG2] the package holds what it needs to run and nothing of the house', () => {
  expect(readdirSync(join(modules, 'sangam')).sort()).toEqual(
    [
      'LICENSE',
      'NOTICE',
      'README.md',
      'crdt',
      'durable-objects',
      'mesh',
      'package.json',
      'residency',
      'schema',
      'workers',
    ].sort(),
  );
});

test('[PKG3] the deployed build has no faulty links: neither their routes nor their code', () => {
  const out = join(folder, 'deployed');
  expect(wrangler(ROOT, 'deploy', '--dry-run', '--outdir', out)).toMatch(/Total Upload: .* gzip: /);
  const bundle = readFileSync(join(out, 'index.js'), 'utf8');
  expect(bundle).toContain('inventory-item');
  expect(bundle).not.toMatch(/dev\/links|FaultyLinks|LinkDown is/);
});
