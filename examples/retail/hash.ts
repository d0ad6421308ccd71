// Dice without chance: the same name always falls the same way, and the same seed always gives the same run.

/** FNV-1a with a final mix (murmur3's), so that names that differ in their last letter land anywhere. */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** `count` different whole numbers in [0, below), ascending. */
export function drawn(count: number, below: number, seed: number): readonly number[] {
  const found = new Set<number>();
  for (let turn = 0; found.size < Math.min(count, below); turn++) found.add(hash32(`${seed} ${turn}`) % below);
  return [...found].sort((a, b) => a - b);
}
