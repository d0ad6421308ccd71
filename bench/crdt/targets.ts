// What Sangam is to reach. A ratio is Sangam's median divided by the peer's on the same runtime, so a noisy or a slow
// machine moves both; the absolute ones are sizes, which no machine moves.
import type {WorkloadId} from './subject.ts';

export type Runtime = 'node' | 'workerd';

/** `best library`: the smallest median among Yjs, Automerge, Loro and TinyBase. */
export type Against = 'best library' | 'yjs' | 'loro' | 'tinybase' | 'json-state';

export type Target = {readonly workload: WorkloadId; readonly metric: string; readonly runtime?: Runtime} & (
  {readonly ratioMax: number; readonly against: Against} | {readonly valueMax: number}
);

export const TARGETS: readonly Target[] = [
  {workload: 'W1', metric: 'timeMs', ratioMax: 1 / 6, against: 'best library'},
  {workload: 'W1', metric: 'bytesPerIncrement', ratioMax: 0.25, against: 'best library'},
  {workload: 'W1', metric: 'snapshotBytes', ratioMax: 0.5, against: 'json-state'},
  {workload: 'W2', metric: 'timeMs', ratioMax: 1 / 4, against: 'best library'},
  {workload: 'W2', metric: 'bytesPerSet', ratioMax: 0.7, against: 'best library'},
  {workload: 'W2', metric: 'snapshotBytes', ratioMax: 1 / 15, against: 'yjs'},
  {workload: 'W3', metric: 'timeMs', ratioMax: 1 / 2, against: 'best library'},
  {workload: 'W3', metric: 'bytesPerOperation', ratioMax: 0.75, against: 'best library'},
  {workload: 'W4', metric: 'bytesPerEdit', valueMax: 13},
  {workload: 'W4', metric: 'shareOfJsonPercent', valueMax: 4},
  {workload: 'W4', metric: 'encodeUs', ratioMax: 1 / 2, against: 'yjs'},
  {workload: 'W4', metric: 'decodeUs', ratioMax: 1 / 5, against: 'yjs'},
  {workload: 'W4', metric: 'stateBytes', ratioMax: 0.3, against: 'tinybase'},
  {workload: 'W6', metric: 'bytesMissed10', ratioMax: 0.9, against: 'loro'},
  {workload: 'W6', metric: 'bytesMissed1k', ratioMax: 0.85, against: 'loro'},
  {workload: 'W6', metric: 'bytesMissed100k', ratioMax: 0.55, against: 'tinybase'},
  {workload: 'W7', metric: 'openMs', ratioMax: 0.6, against: 'loro'},
  {workload: 'W8', metric: 'loadUs', runtime: 'workerd', ratioMax: 1 / 3, against: 'best library'},
  {workload: 'W8', metric: 'liveBytes', ratioMax: 0.45, against: 'yjs'},
  {workload: 'W8', metric: 'dormantBytes', valueMax: 600},
];
