import type {Reporter, TestModule} from 'vitest/node';

/** Ends a run with the one line that says how it went. */
export default class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const counts = {passed: 0, failed: 0, skipped: 0, pending: 0};
    for (const module of modules) for (const test of module.children.allTests()) counts[test.result().state]++;
    // A file that fails to load has no tests to count, and must not pass for that.
    const broken = modules.filter(module => module.state() === 'failed' && module.errors().length > 0).length;
    console.log(`\ntests: ${counts.passed} passed, ${counts.failed + broken} failed, ${counts.skipped} skipped`);
  }
}
