/** `npm run bench -- NAME [OPTIONS]`: measurements that print one JSON line each. */
import { benchMainJob } from './main-job.ts';
import { parseMainJobOptions, usage } from './options.ts';

const [name, ...args] = process.argv.slice(2);
if (name !== 'main-job') {
  process.stderr.write(`usage: ${usage}\n`);
  process.exit(2);
}
try {
  process.exitCode = await benchMainJob(parseMainJobOptions(args));
} catch (error) {
  process.stderr.write(
    `bench: ${error instanceof TypeError ? `${error.message}\nusage: ${usage}` : String(error instanceof Error ? error.stack : error)}\n`,
  );
  process.exitCode = 1;
}
