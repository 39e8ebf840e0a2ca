/** What the benches keep between runs: peers as they are installed, answers that took long to compute. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** $WEIR_BENCH_CACHE, or `~/.cache/weir-bench`. */
export function benchCache(): string {
  const directory = process.env['WEIR_BENCH_CACHE'] ?? join(homedir(), '.cache', 'weir-bench');
  mkdirSync(directory, { recursive: true });
  return directory;
}

/** The answer of `compute`, kept under a name that says everything it depends on. */
export function remembered<T>(name: string, compute: () => T): T {
  const directory = join(benchCache(), 'answers');
  const file = join(directory, `${name}.json`);
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as T;
  const answer = compute();
  mkdirSync(directory, { recursive: true });
  writeFileSync(file, JSON.stringify(answer));
  return answer;
}
