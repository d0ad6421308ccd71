// A field of an entity type: a CRDT type, the schema of what goes in, the editor that commands use, and the view that
// readers get. A field edits a cell, which is a place in a draft: a field of the document, or a key inside a map.
import * as z from 'zod';
import type {Author, CrdtType} from '../../crdt/crdt-type.ts';
import {Refusal} from '../../crdt/refusal.ts';
import {issuesOf} from '../problem.ts';

export interface Cell<S> {
  /** The field's name, and below it the keys of maps. */
  readonly path: string;
  readonly author: Author;
  state(): S;
  write(delta: S): void;
}

/** `S` is the CRDT's state, `E` its editor in commands, `V` its view for readers. */
export interface Field<S = unknown, E = unknown, V = unknown> {
  readonly type: CrdtType<S>;
  editor(cell: Cell<S>): E;
  view(state: S): V;
  /** What `PATCH` takes for this field, and how it is applied. */
  readonly patch: z.ZodType;
  apply(editor: E, patch: unknown): void;
  /** The view, for the OpenAPI document. */
  readonly shape: z.ZodType;
  /** Whether a map may hold it: what cannot be taken back must not be removable. */
  readonly resettable: boolean;
}

// oxlint-disable-next-line typescript/no-explicit-any
export type AnyField = Field<any, any, any>;
export type EditorOf<F> =
  F extends Field<never, infer E, unknown> ? E : F extends {editor(cell: never): infer E} ? E : never;
export type ViewOf<F> = F extends {view(state: never): infer V} ? V : never;

/** Counters take whole numbers that JSON says exactly. Sums beyond 2^53 are read as decimal strings. */
export const amount = z.int().nonnegative();
export const exactShape = z.union([z.int(), z.string().regex(/^-?\d+$/)]);

export function checked<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const {data, error} = schema.safeParse(value);
  if (error) throw new Refusal('invalid', 'the value does not fit the field', {issues: issuesOf(error)});
  return data;
}
