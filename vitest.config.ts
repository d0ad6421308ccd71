import {cloudflareTest} from '@cloudflare/vitest-pool-workers';
import {defineConfig} from 'vitest/config';
import {testBindings} from './test/support/bindings.ts';

// Two projects: what is pure or drives processes runs in Node, what needs Durable Objects runs inside workerd.
export default defineConfig({
  test: {
    // An object that a test aborts leaves a rejection that nobody can catch, and gossip may be under way when the last test
    // of a file has passed.
    onUnhandledError: error =>
      !(error as {durableObjectReset?: boolean}).durableObjectReset &&
      !String(error.message).includes('Closing rpc while'),
    reporters: process.env.CI ? ['default', './test/support/tally-reporter.ts'] : ['default'],
    projects: [
      {
        test: {
          name: 'node',
          include: ['test/{crdt,mesh,residency,schema,node,contract,simulation}/**/*.test.ts', 'test/tidy.test.ts'],
          setupFiles: ['./test/support/versioned-equality.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        plugins: [
          cloudflareTest({
            main: './workers/local.ts',
            wrangler: {configPath: './wrangler.toml'},
            miniflare: {bindings: testBindings},
          }),
        ],
        test: {
          name: 'workers',
          include: ['test/workers/**/*.test.ts'],
          testTimeout: 60_000,
          setupFiles: ['./test/support/leave-nothing-running.ts', './test/support/versioned-equality.ts'],
        },
      },
    ],
  },
});
