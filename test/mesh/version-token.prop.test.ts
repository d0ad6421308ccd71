import fc from 'fast-check';
import {expect, test} from 'vitest';
import type {ReplicaId} from '../../crdt/dot.ts';
import {
  fromBase64url,
  parseVersionToken,
  toBase64url,
  VERSION_TOKEN_CHARACTERS_MAX,
  versionToken,
} from '../../mesh/version-token.ts';
import {vector} from '../support/mesh-arbitraries.ts';

const vectorOf = (replicas: number) =>
  new Map(Array.from({length: replicas}, (_, index) => [index.toString(16).padStart(16, '0') as ReplicaId, 1]));

test('[TOK1] a version comes back from its token, and equal versions have equal tokens', () => {
  const property = fc.property(vector, version => {
    const token = versionToken(version);
    expect(token).toMatch(/^[A-Za-z0-9_-]+$/);
    expect(parseVersionToken(token)).toEqual(version);
    expect(versionToken(new Map([...version].reverse()))).toBe(token);
  });
  fc.assert(property, {numRuns: 500});
});

test('[TOK2] any other text is no token, and nothing throws', () => {
  const texts = fc.oneof(
    fc.string(),
    fc.string({unit: 'binary'}),
    fc.tuple(vector, fc.nat(), fc.string({maxLength: 2})).map(([version, at, more]) => {
      const token = versionToken(version);
      const place = at % (token.length + 1);
      return token.slice(0, place) + more + token.slice(place + more.length);
    }),
  );
  const property = fc.property(texts, text => {
    const version = parseVersionToken(text);
    if (version) expect(versionToken(version)).toBe(text);
  });
  fc.assert(property, {numRuns: 3000});
  for (const text of ['', '!', 'AA==', 'A', ' AA', 'AB']) expect(parseVersionToken(text)).toBe(undefined);
});

test('[TOK3] tokens of up to VERSION_TOKEN_CHARACTERS_MAX are read, longer ones are not', () => {
  const most = Math.floor(((VERSION_TOKEN_CHARACTERS_MAX * 3) / 4 - 2) / 9);
  const longest = versionToken(vectorOf(most));
  expect(longest.length).toBeLessThanOrEqual(VERSION_TOKEN_CHARACTERS_MAX);
  expect(parseVersionToken(longest)?.size).toBe(most);
  const longer = versionToken(vectorOf(most + 1));
  expect(longer.length).toBeGreaterThan(VERSION_TOKEN_CHARACTERS_MAX);
  expect(parseVersionToken(longer)).toBe(undefined);
});

test('[TOK4] bytes are written as the platform writes base64url, and only that is read', () => {
  fc.assert(
    fc.property(fc.uint8Array({maxLength: 20}), bytes => {
      const text = Buffer.from(bytes).toString('base64url');
      expect(toBase64url(bytes)).toBe(text);
      expect(fromBase64url(text)).toEqual(bytes);
    }),
    {numRuns: 500},
  );
  fc.assert(
    fc.property(fc.string({maxLength: 8}), text => {
      const bytes = fromBase64url(text);
      if (bytes) expect(toBase64url(bytes)).toBe(text);
    }),
    {numRuns: 2000},
  );
});
