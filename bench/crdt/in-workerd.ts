// The worker that runs one subject's workloads inside workerd, where the platform runs.
import type {RunRequest} from './host.ts';
import type {Subject} from './subject.ts';
import {WORKLOADS} from './workloads.ts';

export const serve = (subject: Subject) => ({
  async fetch(request: Request): Promise<Response> {
    const {workload, scale, lastsMsMin, batched} = (await request.json()) as RunRequest;
    const found = WORKLOADS.find(({id}) => id === workload)!;
    try {
      return Response.json(found.run(subject, scale, {nowMs: () => performance.now(), lastsMsMin, batched}));
    } catch (error) {
      return new Response(error instanceof Error ? (error.stack ?? error.message) : String(error), {status: 500});
    }
  },
});
