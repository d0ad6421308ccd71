import {execFileSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {expect, test} from 'vitest';

const fileOf = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

test('[EXA1] the example in the README of crdt/ is the one that runs, and prints what it says', () => {
  const example = fileOf('examples/crdt.ts').split('\n').slice(1).join('\n');
  expect(fileOf('crdt/README.md')).toContain(`\`\`\`ts\n${example}\`\`\``);
  const printed = execFileSync(process.execPath, ['examples/crdt.ts'], {encoding: 'utf8'});
  expect(printed.trim().split('\n')).toEqual(['[ 13, 12.5 ]', 'true', "[ { path: [ 'price' ], values: [ 14, 11 ] } ]"]);
});
