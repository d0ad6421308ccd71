// A local platform holds every object open that was used in the last 10 to 15 s, with three file descriptors each, and dies
// when it runs out of them. What would not fit is refused before it begins.
import {readFileSync} from 'node:fs';

const DESCRIPTORS_PER_REPLICA = 3;
/** For connections, bundles and the platform's own objects. */
const DESCRIPTORS_SPARE = 1_000;
/** Evicted ones go late, new ones come early. */
const FILL = 0.8;

export function replicasThatFit(descriptors: number): number {
  return Math.max(0, Math.floor(((descriptors - DESCRIPTORS_SPARE) / DESCRIPTORS_PER_REPLICA) * FILL));
}

/** Of this process, as its children inherit it; Node has raised the soft limit to the hard one. Undefined without /proc. */
export function descriptorsAllowed(): number | undefined {
  try {
    const [, soft] = /^Max open files +(\w+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))!;
    return soft === 'unlimited' ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}
