/** `npm run bench -- NAME [OPTIONS]`: measurements that print one JSON line each. */
import type { SuiteDefaults, SuiteOptions } from './suite-options.ts';
import { parseSuiteOptions } from './suite-options.ts';

interface Bench {
  readonly defaults: SuiteDefaults;
  bench(options: SuiteOptions): Promise<boolean>;
}

const suite: Readonly<Record<string, () => Promise<Bench>>> = {
  noop: async () => await import('./noop.ts'),
  count: async () => await import('./count.ts'),
  cassandra: async () => await import('./cassandra.ts'),
  kafka: async () => await import('./kafka.ts'),
  latency: async () => await import('./latency.ts'),
  nexmark: async () => await import('./nexmark.ts'),
  start: async () => await import('./start.ts'),
  scale: async () => await import('./scale.ts'),
  memory: async () => await import('./memory.ts'),
  guard: async () => await import('./guard.ts'),
  path: async () => await import('./path.ts'),
};

const usage = `usage: npm run bench -- NAME [--peer NAME,…] [--records N] [--rounds N] [--partitions N] [--seed N]
                               [--threads N] [--rates N,…] [--seconds N] [--warm-up N] [--only PART,…] [--no-weir]
                               [--minutes N]
  NAME is one of ${Object.keys(suite).join(', ')}, state; docs/performance.md says what they measure
npm run bench -- all [--budget MINUTES] [--only NAME,…] [--rehearse]: all of them, kept in bench/results, shown in bench/RESULTS.md
npm run bench -- page: bench/RESULTS.md from what is kept
`;

async function run(name: string | undefined, args: readonly string[]): Promise<number> {
  if (name === 'state') {
    const { benchState, parseStateOptions } = await import('./state.ts');
    return await benchState(parseStateOptions(args));
  }
  if (name === 'all') {
    const { benchAll, parseAllOptions } = await import('./all.ts');
    return (await benchAll(parseAllOptions(args))) ? 0 : 1;
  }
  if (name === 'page') {
    const { writePage } = await import('./report/page.ts');
    writePage();
    return 0;
  }
  const load = name === undefined ? undefined : suite[name];
  if (load === undefined) throw new TypeError(name === undefined ? 'which bench?' : `there is no bench ${name}`);
  const { defaults, bench } = await load();
  return (await bench(parseSuiteOptions(args, defaults))) ? 0 : 1;
}

const [name, ...args] = process.argv.slice(2);
try {
  process.exitCode = await run(name, args);
} catch (error) {
  const text =
    error instanceof TypeError ? `${error.message}\n${usage}` : String(error instanceof Error ? error.stack : error);
  process.stderr.write(`bench: ${text}\n`);
  process.exitCode = error instanceof TypeError ? 2 : 1;
}
