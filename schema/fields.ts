// The fields that entity types are made of.
export * from './fields/counters.ts';
export type {AnyField, Cell, EditorOf, Field, ViewOf} from './fields/field.ts';
export * from './fields/flags.ts';
export * from './fields/list.ts';
export * from './fields/maps.ts';
export * from './fields/registers.ts';
export * from './fields/sets.ts';
