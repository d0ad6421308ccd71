import {existsSync} from 'node:fs';
import type {Subject} from './subject.ts';

/** Sangam first, then the libraries, then JSON by hand: the order of the columns. */
const SUBJECTS = [
  {name: 'sangam', file: 'sangam.ts', exported: 'subject'},
  {name: 'yjs', file: 'yjs.ts', exported: 'subject'},
  {name: 'loro', file: 'loro.ts', exported: 'subject'},
  {name: 'automerge', file: 'automerge.ts', exported: 'subject'},
  {name: 'tinybase', file: 'tinybase.ts', exported: 'subject'},
  {name: 'json-deltas', file: 'json.ts', exported: 'jsonDeltas'},
  {name: 'json-state', file: 'json.ts', exported: 'jsonState'},
] as const;

export interface SubjectModule {
  /** Relative to this folder, for a bundle that runs elsewhere. */
  readonly path: string;
  readonly exported: string;
  readonly subject: Subject;
}

/** All of them, or those named. Loaded one by one: a subject that is not asked for must not take memory or time. */
export async function loadSubjects(names?: readonly string[]): Promise<readonly SubjectModule[]> {
  const unknown = names?.filter(name => !SUBJECTS.some(subject => subject.name === name)) ?? [];
  if (unknown.length > 0) throw new Error(`no subject ${unknown.join()}: ${SUBJECTS.map(({name}) => name).join(', ')}`);
  const loaded: SubjectModule[] = [];
  for (const {name, file, exported} of SUBJECTS) {
    const path = `./subjects/${file}`;
    const url = new URL(path, import.meta.url);
    if (!existsSync(url) || (names && !names.includes(name))) continue;
    const module = (await import(url.href)) as Readonly<Record<string, Subject>>;
    loaded.push({path, exported, subject: module[exported]!});
  }
  return loaded;
}
