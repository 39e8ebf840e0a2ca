/** Holds what a job gave against SQLite's answer. */
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { Literal } from './expressions.ts';
import type { Input } from './generator.ts';
import type { Job } from './queries.ts';
import { resultColumns } from './queries.ts';
import { JobRunner, type Arrival, type ResultRow, type Value } from './run-case.ts';
import { SEQ_PER_EPOCH, sqliteQuery, tableStatements } from './sqlite.ts';

/** One job on both sides. */
export class JobCheck {
  readonly #job: Job;
  readonly #runner: JobRunner;
  readonly #database: DatabaseSync;
  readonly #query: StatementSync;
  readonly #inserts: ReadonlyMap<string, StatementSync>;

  /** `meant`: the job as SQLite gets it. Throws where the job is refused. */
  constructor(job: Job, meant: Job = job) {
    this.#job = job;
    this.#runner = new JobRunner(job);
    this.#database = new DatabaseSync(':memory:');
    for (const statement of tableStatements(job)) this.#database.exec(statement);
    for (const { name, columns, rows } of job.tables) {
      const insert = this.#database.prepare(`INSERT INTO ${name} VALUES (${columns.map(() => '?').join(', ')})`);
      for (const row of rows) insert.run(...row.map(bound));
    }
    this.#inserts = new Map(
      job.sources.map(({ name, columns }) => {
        const places = [...columns, 'late_', 'seq_'].map(() => '?').join(', ');
        return [name, this.#database.prepare(`INSERT INTO ${name} VALUES (${places})`)];
      }),
    );
    this.#query = this.#database.prepare(sqliteQuery(meant));
    this.#query.setReturnArrays(true);
  }

  close(): void {
    this.#database.close();
  }

  /** What does not agree, as text; null where all does. */
  mismatch(input: Input): string | null {
    const { rows, arrivals, faults } = this.#runner.run(input);
    if (faults.length > 0) return faults.join('\n');
    // Without rows there was no epoch, and no result.
    if ([...arrivals.values()].every((list) => list.length === 0)) return null;
    const expected = this.#expected(arrivals);
    return differenceOf(this.#job, rows, expected);
  }

  #expected(arrivals: ReadonlyMap<string, readonly Arrival[]>): ResultRow[] {
    this.#database.exec('BEGIN');
    for (const [name, list] of arrivals) {
      this.#database.exec(`DELETE FROM ${name}`);
      const insert = this.#inserts.get(name)!;
      for (const [place, { row, epoch, lateUs }] of list.entries())
        insert.run(...row.map(bound), lateUs, epoch * SEQ_PER_EPOCH + place);
    }
    const columns = resultColumns(this.#job.root);
    const found = this.#query.all() as unknown as Value[][];
    this.#database.exec('COMMIT');
    return found.map((row) =>
      row.map((value, index) => {
        if (value === null) return null;
        if (columns[index]!.type.kind === 'boolean') return value !== 0;
        return typeof value === 'number' ? value + 0 : value;
      }),
    );
  }
}

function bound(value: Literal): number | string | null {
  return typeof value === 'boolean' ? Number(value) : value;
}

function differenceOf(job: Job, actual: readonly ResultRow[], expected: readonly ResultRow[]): string | null {
  const texts = [actual, expected].map((rows) => rows.map((row) => JSON.stringify(row))) as [string[], string[]];
  if (job.root.kind === 'limit') return limitedDifference(job.root.count, ...texts);
  if (job.order === null) for (const list of texts) list.sort();
  const [given, wanted] = texts;
  if (given.length === wanted.length && given.every((text, index) => text === wanted[index])) return null;
  const names = resultColumns(job.root).map(({ name }) => name);
  const list = (rows: readonly string[]): string => rows.map((text) => `\n    ${text}`).join('');
  if (job.order !== null) return `columns ${names.join()}\n  given${list(given)}\n  wanted${list(wanted)}`;
  return `columns ${names.join()}\n  only given${list(without(given, wanted))}\n  only wanted${list(without(wanted, given))}`;
}

/** Which rows come first is not said: as many as wanted, and none that the whole result does not hold. */
function limitedDifference(count: number, given: readonly string[], all: readonly string[]): string | null {
  const wanted = Math.min(count, all.length);
  if (given.length !== wanted) return `${given.length} rows, not ${wanted}`;
  const odd = without(given, all);
  return odd.length === 0 ? null : `rows that no result holds: ${odd.join()}`;
}

/** The texts of `a`, each as often as it is more often there than in `b`. */
function without(a: readonly string[], b: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const text of b) counts.set(text, (counts.get(text) ?? 0) + 1);
  return a.filter((text) => {
    const count = counts.get(text) ?? 0;
    counts.set(text, count - 1);
    return count <= 0;
  });
}
