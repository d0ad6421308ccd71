// Who replicates an entity: a set that is part of its state, so that whoever has the state knows the members.
import * as awSet from '../crdt/aw-set.ts';
import {type Document, fieldState, type Shape} from '../crdt/document.ts';
import {isReplicaId, type ReplicaId} from '../crdt/dot.ts';

export const MEMBERS = '$members';

export interface Member {
  readonly region: string;
  readonly replica: ReplicaId;
}

export const withMembers = (fields: Shape): Shape => new Map(fields).set(MEMBERS, awSet.awSet);

export const memberElement = ({region, replica}: Member): string => `${region} ${replica}`;

export function members(document: Document): readonly Member[] {
  return awSet.elements(fieldState(document, MEMBERS, awSet.awSet)).flatMap(element => {
    const [region, replica] = element.split(' ');
    return region && replica && isReplicaId(replica) ? [{region, replica}] : [];
  });
}
