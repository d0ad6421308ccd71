// The builder of entity types. One definition yields the storage shape, the commands, the generic edits, the validation of
// both, and the types that TypeScript sees.
import * as z from 'zod';
import {type Document, type EventDelta, fieldState, type Shape} from '../crdt/document.ts';
import {Draft, type DraftHead} from '../crdt/draft.ts';
import {Refusal} from '../crdt/refusal.ts';
import {withMembers} from '../mesh/membership.ts';
import type {AnyField, EditorOf, ViewOf} from './fields.ts';
import {issuesOf} from './problem.ts';

export type Fields = Readonly<Record<string, AnyField>>;
export type EditorsOf<F extends Fields> = {readonly [K in keyof F]: EditorOf<F[K]>};
export type ViewsOf<F extends Fields> = {readonly [K in keyof F]: ViewOf<F[K]>};

/** Synchronous, and free of anything but its draft and its input: it runs wherever the replica is. */
export interface Command<F extends Fields = Fields, I extends z.ZodType = z.ZodType> {
  readonly input: I;
  run(entity: EditorsOf<F>, input: z.output<I>): void;
}

/** Ties a command to the fields of its type, so that its draft is typed. */
export type CommandMaker<F extends Fields> = <I extends z.ZodType>(
  input: I,
  run: (entity: EditorsOf<F>, input: z.output<I>) => void,
) => Command<F, I>;

export interface EntityType<F extends Fields = Fields> {
  readonly name: string;
  readonly fields: F;
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly commands: Readonly<Record<string, Command<any, any>>>;
  readonly shape: Shape;
  /** `first-use`: a region gets a replica when it first needs one. `everywhere`: every permitted region gets one. */
  readonly replication: 'first-use' | 'everywhere';
  /** Not for clients: the platform's own. */
  readonly internal: boolean;
}

/** Names are part of URLs; these are taken by other resources. */
const RESERVED = new Set(['policy']);
export const PATCH = 'patch';
const TYPE_NAME = /^[a-z][a-z0-9-]{0,63}$/;
const INTERNAL_NAME = /^\$[a-z]+$/; // No client can name one.
const MEMBER_NAME = /^[a-z][A-Za-z0-9]{0,63}$/;

/** Throws at start-up, not at the first request, when a definition cannot work. */
export function entityType<const F extends Fields>(
  name: string,
  definition: {
    readonly fields: F;
    // oxlint-disable-next-line typescript/no-explicit-any
    readonly commands?: (command: CommandMaker<F>) => Readonly<Record<string, Command<F, any>>>;
    readonly replication?: EntityType['replication'];
    readonly internal?: boolean;
  },
): EntityType<F> {
  const {fields, replication = 'first-use', internal = false} = definition;
  const commands = definition.commands?.((input, run) => ({input, run})) ?? {};
  if (!(internal ? INTERNAL_NAME : TYPE_NAME).test(name) || RESERVED.has(name))
    throw new Error(`not a name for an entity type: ${name}`);
  for (const member of [...Object.keys(fields), ...Object.keys(commands)])
    if (!MEMBER_NAME.test(member)) throw new Error(`not a name for a field or command of ${name}: ${member}`);
  // Generic edits go by this name in logs and under idempotency keys.
  if (Object.hasOwn(commands, PATCH)) throw new Error(`a command of ${name} cannot be named ${PATCH}`);
  const shape = withMembers(new Map(Object.entries(fields).map(([field, {type}]) => [field, type])));
  return {name, fields, commands, shape, replication, internal};
}

/** Writes of one command: all the while it runs the actor does nothing else. */
export const OPERATIONS_MAX = 1_000;

function draftOf(type: EntityType, base: Document, head: DraftHead): {draft: Draft; editors: EditorsOf<Fields>} {
  const draft = new Draft(type.shape, base, head);
  let operations = 0;
  const write = (name: string, delta: unknown) => {
    if (++operations > OPERATIONS_MAX)
      throw new Refusal('entry-too-large', `one command makes at most ${OPERATIONS_MAX} changes`);
    draft.write(name, delta);
  };
  const editors = Object.fromEntries(
    Object.entries(type.fields).map(([name, field]) => [
      name,
      field.editor({
        path: name,
        author: draft,
        state: () => draft.state(name),
        write: delta => write(name, delta),
      }) as unknown,
    ]),
  );
  return {draft, editors: editors as EditorsOf<Fields>};
}

const refuseInput = (what: string, error: z.ZodError) =>
  new Refusal('invalid', `${what} does not fit its schema`, {issues: issuesOf(error)});

export function runCommand(
  type: EntityType,
  base: Document,
  head: DraftHead,
  name: string,
  input: unknown,
): EventDelta | undefined {
  const found = Object.hasOwn(type.commands, name) ? type.commands[name] : undefined;
  if (!found)
    throw new Refusal('unknown-command', `${type.name} has no command "${name}"`, {known: Object.keys(type.commands)});
  const {data, error} = found.input.safeParse(input);
  if (error) throw refuseInput(`the input of ${name}`, error);
  const {draft, editors} = draftOf(type, base, head);
  found.run(editors, data);
  return draft.finish();
}

/** `{field: edit}`, each edit in its field's own form. */
export function runPatch(type: EntityType, base: Document, head: DraftHead, patch: unknown): EventDelta | undefined {
  const {data, error} = z.record(z.string(), z.unknown()).safeParse(patch);
  if (error) throw refuseInput('the patch', error);
  const {draft, editors} = draftOf(type, base, head);
  for (const [name, edit] of Object.entries(data)) {
    const field = Object.hasOwn(type.fields, name) ? type.fields[name] : undefined;
    if (!field)
      throw new Refusal('unknown-field', `${type.name} has no field "${name}"`, {known: Object.keys(type.fields)});
    const checked = field.patch.safeParse(edit);
    if (checked.error) throw refuseInput(`the edit of ${name}`, checked.error);
    field.apply(editors[name], checked.data);
  }
  return draft.finish();
}

export function viewOf<F extends Fields>(type: EntityType<F>, document: Document): ViewsOf<F> {
  const views = Object.entries(type.fields).map(([name, field]) => [
    name,
    field.view(fieldState(document, name, field.type)) as unknown,
  ]);
  return Object.fromEntries(views) as ViewsOf<F>;
}
