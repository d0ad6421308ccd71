// The process that runs one subject's workloads in Node.
import {loadSubjects} from './subjects.ts';
import type {RunRequest} from './host.ts';
import {WORKLOADS} from './workloads.ts';

const {subject} = (await loadSubjects([process.argv[2]!]))[0]!;

process.on('message', ({workload, scale, lastsMsMin, batched}: RunRequest) => {
  const found = WORKLOADS.find(({id}) => id === workload)!;
  // A run is not to pay for what the one before it has left behind. A full collection would also throw away what the engine
  // has learnt of the code, which takes a library in JavaScript several runs to make good, and one in WebAssembly none.
  globalThis.gc!({type: 'minor'});
  try {
    process.send!({sample: found.run(subject, scale, {nowMs: () => performance.now(), lastsMsMin, batched})});
  } catch (error) {
    process.send!({error: error instanceof Error ? (error.stack ?? error.message) : String(error)});
  }
});
