import {cloudflareTest} from '@cloudflare/vitest-pool-workers';
import {defineConfig} from 'vitest/config';
import {testBindings} from './test/support/bindings.ts';

// Two projects: what is pure or drives processes runs in Node, what needs Durable Objects runs inside workerd.
export default defineConfig({
  test: {
    reporters: process.env.CI ? ['default', './test/support/tally-reporter.ts'] : ['default'],
    projects: [
      {
        test: {
          name: 'node',
          include: ['test/{crdt,mesh,residency,schema,node,contract}/**/*.test.ts', 'test/tidy.test.ts'],
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
          // An object that a test aborts leaves a rejection that nobody can catch, and gossip may still be under way when
          // a file's last test has passed.
          onUnhandledError: error =>
            !(error as {durableObjectReset?: boolean}).durableObjectReset &&
            !error.message?.includes('Closing rpc while'),
        },
      },
    ],
  },
});
