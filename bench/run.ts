// `npm run bench` measures acknowledgements, `npm run bench -- crdt` the CRDTs, `npm run bench -- mesh` what
// replication costs. Each benchmark reads its own options, so
// its name is taken off the command line first: their parsers are strict and would refuse it.
const BENCHMARKS: Readonly<Record<string, () => Promise<unknown>>> = {
  acknowledgement: () => import('./acknowledgement.ts'),
  crdt: () => import('./crdt/main.ts'),
  kernel: () => import('./kernel.ts'),
  mesh: () => import('./mesh/main.ts'),
};

const first = process.argv[2];
const named = first !== undefined && !first.startsWith('-');
if (named) process.argv.splice(2, 1);
const start = BENCHMARKS[named ? first : 'acknowledgement'];
if (!start) {
  console.error(`No benchmark "${first}": one of ${Object.keys(BENCHMARKS).join(', ')}.`);
  process.exit(1);
}
await start();

export {}; // Or the compiler takes this file for a script, which may not await.
