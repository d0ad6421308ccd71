// Runs that failed once, as they were shrunk: test/regressions/*.json, played before any other.
import {readdirSync, readFileSync} from 'node:fs';
import {NO_FAULTS} from './faults.ts';
import type {Plan} from './plan.ts';

export interface Regression {
  readonly name: string;
  /** What went wrong, and what was done about it. */
  readonly why: string;
  readonly plan: Plan;
}

const FOLDER = `${import.meta.dirname}/../regressions`;

/** As it is kept: faults that are absent are left out, so that a new one needs no change here. */
export function textOf(why: string, plan: Plan): string {
  const faults = Object.fromEntries(
    Object.entries(plan.faults).filter(
      ([name, value]) => JSON.stringify(value) !== JSON.stringify(NO_FAULTS[name as keyof typeof NO_FAULTS]),
    ),
  );
  return JSON.stringify({why, plan: {...plan, faults}});
}

export function regressionOf(name: string, text: string): Regression {
  const {why, plan} = JSON.parse(text) as {why: string; plan: Plan};
  return {name, why, plan: {...plan, faults: {...NO_FAULTS, ...plan.faults}}};
}

export const regressions = (): readonly Regression[] =>
  readdirSync(FOLDER)
    .filter(file => file.endsWith('.json'))
    .sort()
    .map(file => regressionOf(file.slice(0, -'.json'.length), readFileSync(`${FOLDER}/${file}`, 'utf8')));
