/** One simulated life, of either kind, as the command line and the tests ask for it. */
import { jobsOfSeed } from './epochs/jobs.ts';
import type { EpochMutation } from './epochs/mutations.ts';
import { mutate } from './epochs/mutations.ts';
import { simulateEpochs } from './epochs/run.ts';
import type { RunOptions } from './run.ts';
import { simulate } from './run.ts';

/** Every so many seeds one is run twice and the two traces are held against each other. */
const REPEAT_EVERY = 20;

/** What can be handed to another thread. */
export interface LifeSettings {
  /** Stateful jobs to run (none named = by turns); null = the stateless one. */
  readonly epochs: readonly string[] | null;
  readonly engine?: 'real' | 'small';
  readonly mutation?: string;
}

/** What both kinds of lives tell. */
export interface LifeResult {
  readonly seed: number;
  readonly violation: string | null;
  readonly faults: readonly string[];
  readonly traceHash: number;
  readonly virtualMs: number;
  readonly events: number;
  readonly commits: number;
  readonly rowsSent: number;
  readonly runs: number;
  readonly settledMs: number;
}

export async function live(
  seed: number,
  { epochs, engine, mutation }: LifeSettings,
  print?: (line: string) => void,
): Promise<LifeResult> {
  if (epochs === null) {
    const options: RunOptions = {
      ...(engine === undefined ? {} : { engine }),
      ...(mutation === undefined ? {} : { mutations: { [mutation]: true } }),
      ...(print && { print }),
    };
    return simulate(seed, options);
  }
  const jobs = epochs.length === 0 ? jobsOfSeed(seed) : epochs;
  if (mutation === undefined) return simulateEpochs(seed, { jobs, ...(print && { print }) });
  const undo = mutate(mutation as EpochMutation);
  try {
    return await simulateEpochs(seed, { jobs, mutation: mutation as EpochMutation, ...(print && { print }) });
  } finally {
    undo();
  }
}

/** Lives, and now and then lives a second time: another way is a violation too. */
export async function liveTwice(
  seed: number,
  settings: LifeSettings,
  print?: (line: string) => void,
): Promise<LifeResult> {
  const result = await live(seed, settings, print);
  if (result.violation !== null || seed % REPEAT_EVERY !== 0) return result;
  const again = await live(seed, settings);
  if (again.traceHash === result.traceHash) return result;
  return { ...result, violation: `a second run went another way: trace ${again.traceHash}, not ${result.traceHash}` };
}

/** The command that repeats a life and tells all. */
export function commandFor(seed: number, { mutation, epochs, engine }: LifeSettings): string {
  const jobs = epochs === null || epochs.length === 0 ? '' : ` --jobs ${epochs.join(',')}`;
  const what = epochs === null ? '' : ` --epochs${jobs}`;
  const how = `${engine === undefined ? '' : ` --engine ${engine}`}${mutation === undefined ? '' : ` --mutation ${mutation}`}`;
  return `npm run sim -- ${seed}${what}${how} --verbose`;
}
