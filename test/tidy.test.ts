// The house rules that a compiler does not see: which folder imports which, what the pure folders may not call, and that
// every numbered rule has a test and every numbered test a rule.
import {readdirSync, readFileSync} from 'node:fs';
import {dirname, join, relative, resolve} from 'node:path';
import {fileURLToPath} from 'node:url';
import {expect, test} from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

function filesBelow(folder: string): string[] {
  return readdirSync(join(ROOT, folder), {recursive: true, withFileTypes: true})
    .filter(entry => entry.isFile())
    .map(entry => relative(ROOT, join(entry.parentPath, entry.name)));
}

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const sourcesOf = (folder: string): string[] => filesBelow(folder).filter(path => path.endsWith('.ts'));

const importsOf = (source: string): string[] =>
  [...source.matchAll(/(?:from|import)\s*\(?'([^']+)'/g)].map(match => match[1]!);

/** What each folder may import, beside itself. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  crdt: [],
  residency: [],
  mesh: ['crdt', 'residency'],
  schema: ['crdt', 'mesh', 'residency', 'zod'],
  'durable-objects': ['crdt', 'mesh', 'residency', 'schema', 'zod', 'cloudflare:workers', 'node:crypto'],
  workers: ['crdt', 'mesh', 'residency', 'schema', 'durable-objects', 'itty-router', 'zod', 'jose'],
};

test.each(Object.entries(ARROWS))('[TIDY1] %s imports only what its arrows allow', (folder, allowed) => {
  const sources = sourcesOf(folder);
  expect(sources.length).toBeGreaterThan(0);
  const foreign = sources.flatMap(path =>
    importsOf(read(path)).flatMap(specifier => {
      const target = specifier.startsWith('.')
        ? relative(ROOT, resolve(ROOT, dirname(path), specifier)).split('/')[0]!
        : specifier;
      return target === folder || allowed.includes(target) ? [] : [`${path} imports ${specifier}`];
    }),
  );
  expect(foreign).toEqual([]);
});

/** The clock, the dice and what the compiler's library still knows of the outside. */
const BANNED = /\b(?:Date\.now|new Date|Math\.random|performance\.|globalThis|setTimeout|fetch\()/;

test.each(['crdt', 'residency', 'mesh'])('[TIDY2] %s has no clock and no dice', folder => {
  expect(sourcesOf(folder).filter(path => BANNED.test(read(path).replace(/\/\/.*|\/\*[^]*?\*\//g, '')))).toEqual([]);
});

const numbersIn = (text: string): string[] => [...text.matchAll(/\[([A-Z]+\d+)\]/g)].map(match => match[1]!);

/** Lines in which a test gets its name, in the forms that the tests here use. */
const namesTest = (line: string): boolean =>
  /^\s*(?:test|describe|'\[|`\[|\(?\['\[)|\btest(?:\.each)?\(|\)\('\[/.test(line);

test('[TIDY3] every numbered rule is held by a test, every numbered test has its rule, and no number is given twice', () => {
  const rules = filesBelow('docs')
    .filter(path => path.endsWith('.md'))
    .flatMap(path => read(path).split('\n'))
    .flatMap(line => /^- \[([A-Z]+\d+)\]/.exec(line)?.[1] ?? []);
  const tests = sourcesOf('test').flatMap(path => read(path).split('\n').filter(namesTest).flatMap(numbersIn));
  expect(rules.filter(rule => !tests.includes(rule))).toEqual([]);
  expect([...new Set(tests)].filter(number => !rules.includes(number)).sort()).toEqual([]);
  expect(rules.filter((rule, index) => rules.indexOf(rule) !== index)).toEqual([]);
});

test('[TIDY4] nothing is left unfinished in the sources', () => {
  const sources = [...Object.keys(ARROWS), 'scripts', 'examples', 'bench'].flatMap(sourcesOf);
  expect(sources.filter(path => /\b(?:TODO|FIXME|XXX|HACK)\b/.test(read(path)))).toEqual([]);
});
