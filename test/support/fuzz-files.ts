// The corpus on disk: for each target a file of inputs in hex, one a line, and a file for each input that a run got wrong.
import {readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {fromHex} from '../../crdt/bytes.ts';

export const CORPUS = fileURLToPath(new URL('../fuzz/corpus/', import.meta.url).href);

/** By target. */
export function readCorpus(): ReadonlyMap<string, readonly Uint8Array[]> {
  const inputs = new Map<string, Uint8Array[]>();
  for (const file of readdirSync(CORPUS).sort()) {
    if (!file.endsWith('.hex')) continue;
    const target = file.split('.')[0]!;
    const lines = readFileSync(join(CORPUS, file), 'utf8').split('\n');
    const kept = lines.filter(line => /^(?:[\da-f]{2})+$/.test(line)).map(fromHex);
    inputs.set(target, [...(inputs.get(target) ?? []), ...kept]);
  }
  return inputs;
}
