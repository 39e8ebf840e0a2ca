/**
 * A job run step by step in the simulator, as `weir test` runs it on real processes: its sources are topics of its own,
 * its sink a topic that is read back, its trigger manual. Between the steps whatever is asked for happens to the
 * cluster; what comes out must not show it.
 */
import type { TableFixtures } from '../../../cli/testing/table-fixtures.ts';
import { withFixtures } from '../../../cli/testing/table-fixtures.ts';
import { asTopic } from '../../../core/job/feed-topics.ts';
import { jobName } from '../../../core/ids.ts';
import type { JobName } from '../../../core/ids.ts';
import { isWeirError } from '../../../core/errors.ts';
import { formatJobDocument, parseJobDocument } from '../../../core/job/document.ts';
import { loadJobFile } from '../../../core/job/file.ts';
import type { RecordToEncode } from '../../../core/record-batch-encoder.ts';
import { ByteBuffer } from '../../../engine/byte-buffer.ts';
import { decodeBatch, RecordIndex, visitHeaders } from '../../../engine/codecs/decode-records.ts';
import type { JobPlan } from '../../../engine/plan/job-plan.ts';
import { planJob } from '../../../engine/plan/plan-job.ts';
import type { EmittedRow, InputRecord, JsonRow, StepInput } from '../../../cli/testing/stepped-job.ts';
import { SimCluster } from '../cluster.ts';
import { Simulation, SIM_EPOCH_MS } from '../kernel.ts';
import { simLog } from '../print-log.ts';

/** What happens to the cluster between two steps. */
export type Disturbance = 'none' | 'restartJob' | 'killWorker' | 'killMaster' | 'rescale';

export interface SteppedSimOptions {
  /** Rows in the place of the job's tables, as a test gives them. */
  readonly tables?: TableFixtures;
  readonly workers: number;
  readonly print?: (line: string) => void;
}

export class JobRefusedInSim extends Error {
  override readonly name = 'JobRefusedInSim';
}

const STEP_LIMIT_MS = 60_000;
const OUTPUT = 'output';
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class SteppedSim {
  readonly outputMode: string;
  readonly #sim: Simulation;
  readonly #cluster: SimCluster;
  readonly #name: JobName;
  readonly #seen = new Set<string>();
  #slots = 0;
  #read = 0;

  /** Throws: JobRefusedInSim. */
  static async submit(jobText: string, seed: number, options: SteppedSimOptions): Promise<SteppedSim> {
    const stepped = new SteppedSim(jobText, seed, options);
    await stepped.#until('the job runs', () => stepped.#state === 'running');
    return stepped;
  }

  private constructor(jobText: string, seed: number, { workers, print, tables = {} }: SteppedSimOptions) {
    const document = withFixtures(parseJobDocument(jobText), tables);
    this.outputMode = document.outputMode ?? 'append';
    this.#sim = new Simulation(seed);
    this.#name = jobName(document.name);
    this.#cluster = new SimCluster(this.#sim, {
      mutations: {},
      engine: 'real',
      log: simLog(this.#sim, print ?? ((): void => undefined)),
      failpointChance: () => 0,
      fullEverySecondCall: true,
    });
    for (const topic of [...Object.keys(document.sources), OUTPUT]) this.#cluster.logServer.createTopic(topic, 1);
    const { schedule: _schedule, ...unscheduled } = document;
    const text = formatJobDocument({
      ...unscheduled,
      sources: Object.fromEntries(
        Object.entries(document.sources).map(([name, source]) => [
          name,
          { ...asTopic(source), topic: name, startingOffsets: 'earliest' },
        ]),
      ),
      sinks: [{ connector: 'kafka', topic: OUTPUT, compression: 'none' }],
      trigger: 'manual',
    });
    const plan = planOf(text);
    this.#cluster.startMaster();
    this.#cluster.startMaster();
    for (let index = 0; index < workers; index++) this.#startWorker();
    const definition = {
      name: this.#name,
      hash: 'definition',
      text: JSON.stringify({ formatVersion: 1, source: text, plan }),
      plan,
    };
    this.#ask(async (coordinator) => void (await coordinator.apply(definition)));
  }

  get watermarkMs(): number | null {
    return this.#cluster.coordinator?.job(this.#name)?.epochs?.watermarkMs ?? null;
  }

  /** Appends, runs until nothing is left to do, gives what came out. */
  async step(input: StepInput = new Map()): Promise<EmittedRow[]> {
    for (const [source, records] of input)
      if (records.length > 0) this.#cluster.logServer.append(source, 0, records.map(recordOf));
    let done = false;
    this.#ask(async (coordinator) => {
      await coordinator.step(this.#name);
      done = true;
    });
    await this.#until('the step is done', () => done);
    return this.#emitted();
  }

  async disturb(disturbance: Disturbance, turn: number): Promise<void> {
    const [first] = this.#cluster.workers;
    switch (disturbance) {
      case 'none':
        return;
      case 'restartJob':
        this.#ask(async (coordinator) => void (await coordinator.stop(this.#name)));
        await this.#until('the job is stopped', () => this.#state === 'stopped');
        this.#ask(async (coordinator) => void (await coordinator.start(this.#name)));
        break;
      case 'killWorker':
        if (first !== undefined) this.#cluster.crashWorker(first.slot);
        this.#startWorker();
        break;
      case 'killMaster':
        this.#cluster.crashMaster();
        this.#cluster.startMaster();
        break;
      case 'rescale': {
        const wanted = [2, 3, 1][turn % 3] ?? 1;
        while (this.#cluster.workers.filter(({ leaving }) => !leaving).length < wanted) this.#startWorker();
        for (const { slot } of this.#cluster.workers.slice(wanted)) this.#cluster.leaveWorker(slot);
        break;
      }
    }
    await this.#until('the job runs again', () => this.#cluster.coordinator !== null && this.#state === 'running');
  }

  get #state(): string | undefined {
    return this.#cluster.metaServer.job(this.#name)?.state;
  }

  #startWorker(): void {
    this.#cluster.startWorker(`w${this.#slots++}`);
  }

  /** Asks whoever leads, again and again until the answer came. */
  #ask(question: (coordinator: NonNullable<SimCluster['coordinator']>) => Promise<void>): void {
    const { coordinator, masterNode } = this.#cluster;
    if (coordinator === null || masterNode === null) {
      this.#sim.at(50, null, () => this.#ask(question));
      return;
    }
    let answered = false;
    const again = (): void => {
      if (!answered) this.#ask(question);
    };
    const ask = async (): Promise<void> => {
      try {
        await question(coordinator);
        answered = true;
      } catch (error) {
        if (!isWeirError(error)) throw error;
        this.#sim.at(50, null, again);
      }
    };
    this.#sim.at(0, masterNode, () => void ask());
  }

  async #until(what: string, done: () => boolean): Promise<void> {
    const end = this.#sim.now + STEP_LIMIT_MS;
    await this.#sim.run(end, done, 2_000_000);
    if (this.#sim.violation !== null) throw this.#sim.violation;
    const reason = this.#cluster.metaServer.job(this.#name)?.reason?.message ?? '';
    if (!done()) throw new Error(`${what}: not so after ${STEP_LIMIT_MS} virtual ms ${reason}`);
  }

  #emitted(): EmittedRow[] {
    const rows: EmittedRow[] = [];
    const { batches } = this.#cluster.logServer.partition(OUTPUT, 0);
    for (const { bytes, baseOffset } of batches.slice(this.#read)) {
      const arena = new ByteBuffer();
      const records = new RecordIndex();
      const range = { start: 0, end: bytes.byteLength, baseOffset, baseTimeUs: 0, stride: 1 };
      decodeBatch(bytes, { ...range, fromOffset: 0, toOffset: Number.POSITIVE_INFINITY }, arena, records);
      for (let row = 0; row < records.count; row++) {
        let id = '';
        visitHeaders(arena.bytes, records.headersStart[row] ?? 0, arena.length, (_name, _length, start, length) => {
          id = decoder.decode(arena.bytes.subarray(start, start + length));
        });
        const [start, length] = [records.valueStart[row] ?? 0, records.valueLength[row] ?? -1];
        if (this.#seen.has(id) || length < 0) continue;
        this.#seen.add(id);
        const value = decoder.decode(arena.bytes.subarray(start, start + length));
        rows.push({ row: JSON.parse(value) as JsonRow, epoch: Number(id.split('/')[2] ?? -1) });
      }
    }
    this.#read = batches.length;
    return rows;
  }
}

function recordOf(record: InputRecord): RecordToEncode {
  const text = record === null ? null : typeof record === 'string' ? record : JSON.stringify(record);
  return { key: null, value: text === null ? null : encoder.encode(text), timestampMs: SIM_EPOCH_MS };
}

function planOf(text: string): JobPlan {
  const { spec, problems } = loadJobFile(text);
  if (spec === null) throw new JobRefusedInSim(problems.map(({ message }) => message).join('; '));
  const planned = planJob(spec, { tables: null });
  if (planned.plan === null) throw new JobRefusedInSim(planned.problems.map(({ message }) => message).join('; '));
  return planned.plan;
}
