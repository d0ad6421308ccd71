import {fork} from 'node:child_process';
import {once} from 'node:events';
import {fileURLToPath} from 'node:url';
import {ERROR_LENGTH_MAX, type Host} from './host.ts';
import type {SubjectModule} from './subjects.ts';
import type {Sample} from './workload.ts';

type Answer = {readonly sample: Sample} | {readonly error: string};

export async function startInNode({subject}: SubjectModule): Promise<Host> {
  const child = fork(fileURLToPath(new URL('./node-child.ts', import.meta.url)), [subject.name], {
    execArgv: ['--expose-gc'],
  });
  const exited = once(child, 'exit');
  await once(child, 'spawn');
  return {
    async run(request) {
      child.send(request); // Kept by the channel until the child listens.
      const answered = once(child, 'message') as Promise<[Answer]>;
      const died = exited.then(([code]) => [{error: `the process ended with ${code}`}] as [Answer]);
      const [answer] = await Promise.race([answered, died]);
      if ('error' in answer) throw new Error(answer.error.slice(0, ERROR_LENGTH_MAX));
      return answer.sample;
    },
    async stop() {
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}
