// The list as a subject of the tests that all types share. Its commands name values, and its reading leaves the order out: what
// must be there is easy to say of any history, and where it stands is for the tests of the list alone.
import fc from 'fast-check';
import * as lists from '../../crdt/list.ts';
import type {Write} from './models.ts';
import type {Subject} from './subjects.ts';

export type ListSubjectCommand =
  | {readonly kind: 'insert' | 'move'; readonly value: string; readonly at: number}
  | {readonly kind: 'remove'; readonly value: string};

const value = fc.constantFrom('a', 'b', 'ç');
const at = fc.nat(6);

function model(writes: readonly Write<ListSubjectCommand>[]): readonly string[] {
  const removed = (id: number, of: string) =>
    writes.some(({command, seen}) => command.kind === 'remove' && command.value === of && seen.has(id));
  return writes
    .flatMap(({id, command}) => (command.kind === 'insert' && !removed(id, command.value) ? [command.value] : []))
    .sort();
}

export const listSubject: Subject<lists.List, ListSubjectCommand> = {
  type: lists.list,
  command: fc.oneof(
    {weight: 3, arbitrary: fc.record({kind: fc.constant('insert' as const), value, at})},
    {weight: 1, arbitrary: fc.record({kind: fc.constant('move' as const), value, at})},
    {weight: 1, arbitrary: fc.record({kind: fc.constant('remove' as const), value})},
  ),
  write(state, author, command) {
    const length = lists.length(state);
    const found = lists.values(state).indexOf(command.value);
    if (command.kind === 'insert') return lists.insert(state, author, command.at % (length + 1), [command.value]);
    if (found < 0) return lists.list.empty;
    if (command.kind === 'move') return lists.move(state, author, found, command.at % length);
    // All that are equal: one delta that lists each of them.
    const places = lists.values(state).flatMap((held, index) => (held === command.value ? [index] : []));
    return places.map(index => lists.remove(state, index)).reduce((all, one) => lists.list.touch(all, one));
  },
  read: state => lists.values(state).toSorted(),
  model,
};
