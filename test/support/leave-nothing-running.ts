import {reset} from 'cloudflare:test';
import {afterAll} from 'vitest';

// Replicas that still retry would wake objects while the runtime is torn down.
// However long that takes on a busy machine.
afterAll(() => reset(), 120_000);
