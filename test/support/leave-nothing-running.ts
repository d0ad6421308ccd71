import {reset} from 'cloudflare:test';
import {afterAll} from 'vitest';

// Replicas that still retry would wake objects while the runtime is torn down.
afterAll(() => reset());
