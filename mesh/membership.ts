// Who replicates an entity, in epochs: a set that is part of its state, so that whoever has the state knows the members. A
// replica is a learner until it holds what the others held when it came, then a member, and at last it has left: its rights
// are with its heir and nobody waits for it. Roles only go forward, so concurrent changes agree on the later one.
import * as awSet from '../crdt/aw-set.ts';
import {type Document, fieldState, type Shape} from '../crdt/document.ts';
import {isReplicaId, type ReplicaId} from '../crdt/dot.ts';
import type {Draft} from '../crdt/draft.ts';

export const MEMBERS = '$members';

/**
 * `silent`: fenced, because it has not answered; nobody waits for it, and when it returns it goes on as a new replica.
 * `lost`: an operator said that its storage is gone. `left`: it mints no more events, and its heir has what was its own.
 * `folded`: its heir has added its counts to its own, so nothing of it remains but what it wrote that is still there.
 */
export const ROLES = ['learner', 'member', 'silent', 'lost', 'left', 'folded'] as const;
export type Role = (typeof ROLES)[number];

export interface Member {
  readonly region: string;
  readonly replica: ReplicaId;
  readonly role: Role;
  /** The membership in which something was said of it last. */
  readonly epoch: number;
  /** Who has its rights and finishes its work; set once it is lost. */
  readonly heir?: ReplicaId | undefined;
}

export type Members = ReadonlyMap<ReplicaId, Member>;

export const withMembers = (fields: Shape): Shape => new Map(fields).set(MEMBERS, awSet.awSet);

const SEPARATOR = ' ';

export const memberElement = ({region, replica, role, epoch, heir}: Member): string =>
  [region, replica, role, epoch, ...(heir ? [heir] : [])].join(SEPARATOR);

/** The same few are read again after every event that changes one of them. */
const parsed = new Map<string, Member | undefined>();
const PARSED_MAX = 4_096;

function parseMember(element: string): Member | undefined {
  if (parsed.has(element)) return parsed.get(element);
  if (parsed.size >= PARSED_MAX) parsed.clear();
  const member = memberOf(element);
  parsed.set(element, member);
  return member;
}

function memberOf(element: string): Member | undefined {
  const [region, replica, role, epochText, heir, ...rest] = element.split(SEPARATOR);
  const epoch = Number(epochText);
  if (!region || !replica || !isReplicaId(replica) || !(ROLES as readonly string[]).includes(role!)) return undefined;
  if (!Number.isSafeInteger(epoch) || epoch < 1 || rest.length > 0) return undefined;
  if (heir !== undefined && !isReplicaId(heir)) return undefined;
  return {region, replica, role: role as Role, epoch, heir};
}

const isLater = (a: Member, b: Member): boolean => {
  const [inA, inB] = [ROLES.indexOf(a.role), ROLES.indexOf(b.role)];
  return inA === inB ? a.epoch > b.epoch || (a.epoch === b.epoch && (a.heir ?? '') < (b.heir ?? '')) : inA > inB;
};

const known = new WeakMap<object, Members>();

/** By replica id. */
export function members(document: Document): Members {
  const state = fieldState(document, MEMBERS, awSet.awSet);
  const before = known.get(state);
  if (before) return before;
  const said = awSet.elements(state).flatMap(element => parseMember(element) ?? []);
  const found = new Map<ReplicaId, Member>();
  for (const member of said) {
    const other = found.get(member.replica);
    if (!other || isLater(member, other)) found.set(member.replica, member);
  }
  // The later role may have been given in an earlier epoch than the one that it overrules; epochs must not go back by that.
  for (const {replica, epoch} of said) {
    const member = found.get(replica)!;
    if (epoch > member.epoch) found.set(replica, {...member, epoch});
  }
  known.set(state, found);
  return found;
}

export const epochOf = (all: Members): number => Math.max(0, ...[...all.values()].map(({epoch}) => epoch));

/** It mints events, so it may have some that others lack. */
export const isLive = ({role}: Member): boolean => role === 'learner' || role === 'member';
/** Until it has left for good, it or its heir may still deliver something of it. */
export const isGone = ({role}: Member): boolean => role === 'left' || role === 'folded';

/** Whether replicas were in a region, and all have left it: their storages are dropped once everybody has what they had. */
export function isDeserted(all: Members, region: string): boolean {
  const there = [...all.values()].filter(member => member.region === region);
  return there.length > 0 && there.every(isGone);
}

/** Regions of those who have not left. */
export const regionsOf = (all: Members): readonly string[] =>
  [...all.values()].filter(member => !isGone(member)).map(({region}) => region);

/** Gives a replica a role in the next epoch, in place of whatever is said of it. */
export function setRole(draft: Draft, member: Omit<Member, 'epoch'>, epoch: number): void {
  dropMember(draft, member.replica);
  draft.write(MEMBERS, awSet.add(draft.state(MEMBERS), draft, memberElement({...member, epoch})));
}

export function dropMember(draft: Draft, replica: ReplicaId): void {
  for (const element of awSet.elements(draft.state(MEMBERS)))
    if (parseMember(element)?.replica === replica) draft.write(MEMBERS, awSet.remove(draft.state(MEMBERS), element));
}

/**
 * Who goes on for a replica: itself, or the heir of its heir, as far as they are known. Of those who left at once and named each
 * other it is the first by id.
 */
export function heirOf(all: Members, replica: ReplicaId): ReplicaId {
  const passed: ReplicaId[] = [];
  let at = replica;
  while (!passed.includes(at)) {
    passed.push(at);
    const heir = all.get(at)?.heir;
    if (heir === undefined) return at;
    at = heir;
  }
  return passed.slice(passed.indexOf(at)).reduce((first, id) => (id < first ? id : first));
}
