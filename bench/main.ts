/** `npm run bench -- NAME [OPTIONS]`: measurements that print one JSON line each. */
import { benchMainJob } from './main-job.ts';
import { parseMainJobOptions, usage as mainJobUsage } from './options.ts';
import { benchState, parseStateOptions, stateUsage } from './state.ts';

const [name, ...args] = process.argv.slice(2);
const usage = name === 'state' ? stateUsage : name === 'main-job' ? mainJobUsage : `${mainJobUsage}\n${stateUsage}`;
try {
  if (name === 'main-job') process.exitCode = await benchMainJob(parseMainJobOptions(args));
  else if (name === 'state') process.exitCode = await benchState(parseStateOptions(args));
  else {
    process.stderr.write(`usage: ${usage}\n`);
    process.exitCode = 2;
  }
} catch (error) {
  process.stderr.write(
    `bench: ${error instanceof TypeError ? `${error.message}\nusage: ${usage}` : String(error instanceof Error ? error.stack : error)}\n`,
  );
  process.exitCode = 1;
}
