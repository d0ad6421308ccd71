// `npm run chaos`: breaks a platform of several processes for some minutes, and says whether it kept its promises.
import {OptionsError, parseOptions, USAGE} from './options.ts';
import {run} from './run.ts';

const SHOWN_MAX = 40;

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (!options) {
    console.log(USAGE);
    return 0;
  }
  const {seed, regions, minutes, kills} = options;
  const until = kills === undefined ? `${minutes} minutes` : `${kills} kills`;
  console.log(`seed ${seed}, ${regions} regions, ${until}, storage faults ${options.storageFaults ? 'on' : 'off'}`);
  const interrupting = new AbortController();
  process.once('SIGINT', () => interrupting.abort());
  const report = await run(options, line => console.log(line), interrupting.signal);
  const {commands, reads, repetitions} = report.history;
  const results = Map.groupBy(commands, ({result}) => result.type);
  const told = (counts: ReadonlyMap<string, number>) =>
    [...counts].map(([name, count]) => `${name} ${count}`).join(', ');
  console.log(`
mix       ${JSON.stringify(report.mix)}
faults    ${told(report.faults)}
kills     ${report.kills}
answers   ${told(report.tally)}
commands  ${commands.length}: ${[...results].map(([type, all]) => `${type} ${all.length}`).join(', ')}
reads     ${reads.length}, repetitions ${repetitions.length}
excused   ${report.excused} acknowledged commands that only spoiled disks are known to have held
healed    in ${report.healedInMs} ms; ${report.unconverged.length} items did not converge`);
  for (const [rule, found] of Map.groupBy(report.violations, violation => violation.rule)) {
    console.log(`\n${rule}: ${found.length}`);
    for (const {detail} of found.slice(0, SHOWN_MAX)) console.log(`  ${detail}`);
  }
  const passed = report.violations.length === 0 && report.unconverged.length === 0;
  console.log(
    passed ? '\nEvery promise was kept.' : `\nFAILED; replay: npm run chaos -- --seed ${seed} --regions ${regions}`,
  );
  if (options.keep) console.log(`storage and logs: ${report.folder}`);
  return passed ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof OptionsError)) throw error;
  console.error(`${error.message}\n\n${USAGE}`);
  process.exitCode = 2;
}
