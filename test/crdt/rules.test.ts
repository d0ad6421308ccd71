// Holds docs/crdt.md and the tests together: no promise without a proof, no proof of something unpromised.
import {readdirSync, readFileSync} from 'node:fs';
import {expect, test} from 'vitest';

const RULE = /\[([A-Z]+\d+)\]/g;
const rulesIn = (text: string): string[] => [...text.matchAll(RULE)].map(match => match[1]!);
const here = new URL('.', import.meta.url);

const tested = readdirSync(here)
  .filter(file => file.endsWith('.test.ts') && file !== 'rules.test.ts')
  .flatMap(file => readFileSync(new URL(file, here), 'utf8').split('\n'))
  .filter(line => /^\s*(test|'\[)/.test(line) || /\btest(\.each)?\(/.test(line) || line.includes(")('["))
  .flatMap(rulesIn);
const documented = rulesIn(readFileSync(new URL('../../docs/crdt.md', import.meta.url), 'utf8'));

test('every rule of docs/crdt.md is named by a test, and every rule that a test names is there', () => {
  expect([...new Set(documented)].sort()).toEqual([...new Set(tested)].sort());
});

test('a rule number is given once', () => {
  const text = readFileSync(new URL('../../docs/crdt.md', import.meta.url), 'utf8');
  const given = text.split('\n').flatMap(line => /^- \[([A-Z]+\d+)\]/.exec(line)?.[1] ?? []);
  expect(given.length).toBe(new Set(given).size);
  expect(new Set(given)).toEqual(new Set(documented));
});
