// What was asked and what was answered, as the shop's own books have it.
import type {Command} from './commands.ts';
import type {Acknowledged, Violation} from './oracle.ts';
import type {Outcome} from './shop-client.ts';

export const PHASES = ['opening', 'before', 'cut', 'after'] as const;
export type Phase = (typeof PHASES)[number];

export interface Entry {
  readonly phase: Phase;
  readonly outcome: Outcome;
}

export class Ledger {
  readonly entries: Entry[] = [];
  /** The regions that were asked for an item: each of them has a replica of it. */
  readonly regionsOf = new Map<string, Set<string>>();
  readonly acknowledged = new Map<string, Acknowledged[]>();
  readonly violations: Violation[] = [];
  accepted = 0;
  refused = 0;

  ask({item, region}: Command): void {
    const regions = this.regionsOf.get(item);
    if (regions) regions.add(region);
    else this.regionsOf.set(item, new Set([region]));
  }

  take(phase: Phase, outcome: Outcome): void {
    this.entries.push({phase, outcome});
    if (outcome.type === 'refused') {
      this.refused++;
      return;
    }
    this.accepted++;
    const {command, dot, stock} = outcome;
    const {item, key, region} = command;
    const before = this.acknowledged.get(item);
    if (before) before.push({command, dot});
    else this.acknowledged.set(item, [{command, dot}]);
    if (stock < 0) this.violations.push({item, rule: 'below-zero', detail: `${region} answered ${key} with ${stock}`});
  }
}
