/** What benches printed, kept as bench/results/NAME.json. */
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { MachineFacts } from '../measure/machine.ts';
import type { Line } from '../throughput.ts';

export interface StoredResult {
  /** Of the part of the plan, such as `noop`. */
  readonly name: string;
  /** Arguments of `npm run bench --` that give the same. */
  readonly args: readonly string[];
  readonly machine: MachineFacts;
  /** What it took. */
  readonly seconds: number;
  /** Why it did not end well, else null. */
  readonly failure: string | null;
  readonly lines: readonly Line[];
}

/** Where the results are that the page in the repository shows. */
export const resultsDirectory = fileURLToPath(new URL('../results/', import.meta.url));

export function saveResult(directory: string, result: StoredResult): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, `${result.name}.json`), `${JSON.stringify(result, null, 1)}\n`);
}

/** By name. */
export function savedResults(directory: string): Map<string, StoredResult> {
  if (!existsSync(directory)) return new Map();
  const results = new Map<string, StoredResult>();
  for (const file of readdirSync(directory).toSorted()) {
    if (!file.endsWith('.json')) continue;
    const result = JSON.parse(readFileSync(join(directory, file), 'utf8')) as StoredResult;
    results.set(result.name, result);
  }
  return results;
}
