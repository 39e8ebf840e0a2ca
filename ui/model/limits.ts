/** What limits a job, in words: rules over what the master reports, the gravest first. */
import { errorTable } from '../../core/errors.ts';
import { age, count, duration, lag as lagText, plural, ratio } from '../format.ts';
import type { BatchProgress, JobPlan, JobSummary, JobView, LaneView, OperatorFigures, WorkerView } from '../wire.ts';

export type Gravity = 'error' | 'warn' | 'info' | 'good';

export interface Limit {
  readonly id: string;
  readonly gravity: Gravity;
  /** A short sentence. */
  readonly title: string;
  /** Cause and what to do. */
  readonly text: string;
  /** Where to look: a tab of the job (`partitions`), or a page (`/workers`). */
  readonly look?: { readonly href: string; readonly label: string };
}

export interface LimitFacts {
  readonly view: JobView;
  /** null = not heard yet. */
  readonly workers: readonly WorkerView[] | null;
  /** Change of the lag, records a second; null = not known yet. */
  readonly lagTrend: number | null;
  readonly plan: JobPlan | null;
  /** Newest last. */
  readonly progress: readonly BatchProgress[];
}

const SLOW_LOOP_MS = 100;
const SILENT_MS = 2500;
/** A p99 latency that somebody would call slow. */
const SLOW_MS = 1000;
const SKEW_SHARE = 0.6;
const WORTH_LAG = 1000;
/** Part of the time from which on something is what the rest waits for. */
const BUSY_SHARE = 0.75;
/** A job that starts for longer is worth a look. */
const STARTS_MS = 10_000;
const ranks: Record<Gravity, number> = { error: 0, warn: 1, info: 2, good: 3 };

export function limitsOf(facts: LimitFacts): Limit[] {
  const { view } = facts;
  const active = view.row.state === 'running' || view.row.state === 'starting';
  const found = active
    ? [
        ...whyWaiting(facts),
        ...laneTroubles(view),
        ...crew(facts),
        ...skew(view),
        ...pace(facts),
        ...busiest(facts),
        ...phases(facts),
        ...records(view),
      ]
    : atRest(view);
  if (active && !found.some(({ gravity }) => gravity === 'error' || gravity === 'warn') && view.lag >= 0)
    found.push(keepsUp(facts));
  return found.sort((one, other) => ranks[one.gravity] - ranks[other.gravity]);
}

function atRest({ row }: JobView): Limit[] {
  const reason = row.reason === null ? '' : `${row.reason.message} (${row.reason.code})`;
  if (row.state === 'failed') {
    return [
      {
        id: 'failed',
        gravity: 'error',
        title: 'The job has failed and does not run.',
        text: `${reason} Remove the cause, then start it: it goes on where it stood.`,
        look: { href: 'logs', label: 'Logs and events' },
      },
    ];
  }
  if (row.state === 'finished')
    return [
      {
        id: 'finished',
        gravity: 'good',
        title: 'The job has read everything it was asked to.',
        text: 'Start it again to read what came since.',
      },
    ];
  return [
    {
      id: 'stopped',
      gravity: 'info',
      title: row.state === 'stopping' ? 'The job is stopping.' : 'The job is stopped.',
      text: reason === '' ? 'Start it: it goes on where it stood.' : reason,
    },
  ];
}

function whyWaiting({ view }: LimitFacts): Limit[] {
  const waiting = view.row.reason ?? view.epochs?.waiting ?? null;
  if (waiting === null) return [];
  const gravity = errorDomain(waiting.code) === 'user' ? 'error' : 'warn';
  return [{ id: 'waiting', gravity, title: 'The job waits.', text: `${waiting.message} (${waiting.code})` }];
}

function errorDomain(code: string): string {
  return Object.hasOwn(errorTable, code) ? errorTable[code as keyof typeof errorTable].domain : 'internal';
}

/** Blocked, failed and unowned partitions; the same cause is said once. */
function laneTroubles({ lanes }: JobView): Limit[] {
  const found: Limit[] = [];
  const byCause = new Map<string, LaneView[]>();
  for (const lane of lanes) {
    if (lane.state !== 'blocked' && lane.state !== 'failed') continue;
    const key = `${lane.state} ${lane.code ?? ''}`;
    byCause.set(key, [...(byCause.get(key) ?? []), lane]);
  }
  for (const [key, troubled] of byCause) {
    const [first] = troubled;
    if (first === undefined) continue;
    const failed = first.state === 'failed';
    const which = `${partitions(troubled)} of ${plural(lanes.length, 'partition')}`;
    found.push({
      id: key,
      gravity: 'error',
      title: failed ? `${which} failed.` : `${which} cannot go on${outside(first.code)}.`,
      text: `${first.message ?? ''}${first.code === null ? '' : ` (${first.code})`}${failed ? '' : ' It is tried again until it works; nothing is lost meanwhile.'}`,
      look: { href: 'partitions', label: 'Partitions' },
    });
  }
  const unowned = lanes.filter(({ owner }) => owner === null);
  if (unowned.length > 0 && unowned.length < lanes.length) {
    found.push({
      id: 'unowned',
      gravity: 'warn',
      title: `${partitions(unowned)} of ${plural(lanes.length, 'partition')} ${unowned.length === 1 ? 'has' : 'have'} no worker.`,
      text: 'The master assigns them as soon as a worker has room.',
      look: { href: 'partitions', label: 'Partitions' },
    });
  }
  const waiting = lanes.filter(({ state, owner }) => state === 'waiting' && owner !== null);
  if (waiting.length > 0) {
    found.push({
      id: 'hand-over',
      gravity: 'info',
      title: `${partitions(waiting)} wait${waiting.length === 1 ? 's' : ''} for the former owner to let go.`,
      text: 'A new owner starts when the old one has acknowledged, or three seconds after the change.',
    });
  }
  return found;
}

function outside(code: string | null): string {
  if (code === null) return '';
  if (code.startsWith('SINK')) return ': the sink does not take rows';
  if (code.startsWith('SOURCE')) return ': the source does not answer';
  if (code === 'TOPIC_NOT_FOUND') return ': a topic is missing';
  return '';
}

function partitions(lanes: readonly LaneView[]): string {
  const [first] = lanes;
  return lanes.length === 1 && first !== undefined
    ? `Partition ${first.partition} of ${first.topic},`
    : String(lanes.length);
}

function crew({ view, workers }: LimitFacts): Limit[] {
  if (workers === null) return [];
  const look = { href: '/workers', label: 'Workers' };
  const alive = workers.filter(({ state }) => state !== 'silent');
  if (alive.length === 0) {
    return [
      {
        id: 'no-workers',
        gravity: 'error',
        title: 'No worker is connected, so nothing is read.',
        text: 'Start one: weir worker --master HOST:7077. Partitions are assigned to it at once.',
        look,
      },
    ];
  }
  const mine = new Map<string, number>();
  for (const { owner } of view.lanes) if (owner !== null) mine.set(owner, (mine.get(owner) ?? 0) + 1);
  for (const { id, partitions: read, groups } of view.epochs?.workers ?? [])
    mine.set(id, (mine.get(id) ?? 0) + read + (read === 0 && groups > 0 ? 1 : 0));
  const behind = view.lag >= WORTH_LAG || (view.latencyMsP99 ?? 0) >= SLOW_MS;
  const found: Limit[] = [];
  for (const worker of workers) {
    const lanes = mine.get(worker.id);
    if (lanes === undefined) continue;
    if (worker.state === 'silent' || worker.heartbeatAgeMs > SILENT_MS) {
      found.push({
        id: `silent ${worker.id}`,
        gravity: 'error',
        title: `Worker ${worker.id} has been silent for ${age(worker.heartbeatAgeMs)}.`,
        text: `${plural(lanes, 'partition')} of this job ${lanes === 1 ? 'is' : 'are'} there; the master moves ${lanes === 1 ? 'it' : 'them'} to another worker. Look at its machine and its log.`,
        look,
      });
    } else if (worker.eventLoopDelayMs > SLOW_LOOP_MS) {
      found.push({
        id: `loop ${worker.id}`,
        gravity: behind ? 'warn' : 'info',
        title: `Worker ${worker.id} is overloaded: its event loop runs ${duration(worker.eventLoopDelayMs)} late.`,
        text: `It has ${plural(worker.lanes, 'partition')} in all. Add a worker, or give its process a processor of its own.`,
        look,
      });
    }
  }
  return found;
}

/** One partition far behind the others: more workers would not help it. */
function skew({ lanes, lag }: JobView): Limit[] {
  if (lanes.length < 2 || lag < WORTH_LAG) return [];
  const worst = lanes.reduce((so, lane) => (lane.lag > so.lag ? lane : so));
  const share = worst.lag / lag;
  if (share < Math.max(SKEW_SHARE, 2 / lanes.length)) return [];
  return [
    {
      id: 'skew',
      gravity: 'warn',
      title: `Partition ${worst.partition} of ${worst.topic} holds ${ratio(share)} of the lag.`,
      text: `${lagText(worst.lag)} of ${lagText(lag)} records wait there. One partition is read by one worker${worst.owner === null ? '' : ` (${worst.owner})`}: more workers do not help; a key that spreads records evenly, or more partitions, does.`,
      look: { href: 'partitions', label: 'Lag per partition' },
    },
  ];
}

function pace({ view, lagTrend, workers, plan }: LimitFacts): Limit[] {
  if (view.lag < WORTH_LAG || lagTrend === null) return [];
  const now = `${lagText(view.lag)} records wait; the job reads ${count(view.recordsPerSecond)} a second.`;
  if (lagTrend > Math.max(5, view.recordsPerSecond * 0.02)) {
    const threads = (workers ?? []).reduce((sum, { threads: each }) => sum + each, 0);
    const partitionCount = view.lanes.length;
    const advice =
      partitionCount > 0 && threads >= partitionCount
        ? `Its topics have ${plural(partitionCount, 'partition')} and the workers ${plural(threads, 'thread')}: more partitions are needed before more workers help.`
        : 'More workers share the partitions.';
    return [
      {
        id: 'falls-behind',
        gravity: 'warn',
        title: `The job falls behind by ${count(lagTrend)} records a second.`,
        text: `${now} ${advice}`,
      },
    ];
  }
  if (lagTrend < -1) {
    return [
      {
        id: 'catches-up',
        gravity: 'info',
        title: `The job catches up: about ${age((view.lag / -lagTrend) * 1000)} left.`,
        text: `${now} The lag shrinks by ${count(-lagTrend)} a second.`,
      },
    ];
  }
  if (plan?.trigger.kind === 'interval')
    return [
      {
        id: 'trigger',
        gravity: 'info',
        title: `The job runs every ${duration(plan.trigger.everyMs)}, as its trigger says.`,
        text: `${now} A shorter trigger, or asap, takes them sooner.`,
      },
    ];
  if (view.recordsPerSecond < 1)
    return [
      {
        id: 'stands',
        gravity: 'warn',
        title: 'Records wait and none is read.',
        text: `${now} Look at the workers and at the log.`,
        look: { href: 'logs', label: 'Logs and events' },
      },
    ];
  return [
    { id: 'even', gravity: 'info', title: 'The job reads as fast as records come, and stays behind.', text: now },
  ];
}

/** Records wait, rows come late, or an epoch is under way for long: what it takes counts as lag no more. */
function isBehind({ lag, latencyMsP99, epochs }: JobView): boolean {
  const underWay = epochs !== null && epochs.planned > epochs.committed && (epochs.epochMsP99 ?? Infinity) >= SLOW_MS;
  return lag >= WORTH_LAG || (latencyMsP99 ?? 0) >= SLOW_MS || underWay;
}

/** What a job that is behind waits for: its threads or a sink, as the workers measure them. */
function busiest({ view, plan }: LimitFacts): Limit[] {
  if (!isBehind(view)) return [];
  const most = (kind: string): OperatorFigures | undefined =>
    view.operators
      .filter(({ id, busyRatio }) => id.startsWith(kind) && (busyRatio ?? 0) >= BUSY_SHARE)
      .sort((one, other) => (other.busyRatio ?? 0) - (one.busyRatio ?? 0))[0];
  const [stage, sink] = [most('stage'), most('sink')];
  // A sink has rows on their way all the time while threads are what the job waits for.
  if (stage !== undefined)
    return [
      {
        id: 'threads',
        gravity: 'warn',
        title: 'The threads of the workers are what this job waits for.',
        text: `They work for it ${ratio(stage.busyRatio ?? 0)} of the time. More workers, or more threads where processors are idle, share the partitions.`,
        look: { href: '/workers', label: 'Workers' },
      },
    ];
  if (sink === undefined) return [];
  const name = plan?.sinks[Number(sink.id.slice('sink'.length))]?.description;
  const blocked = Math.max(0, ...view.operators.map(({ blockedRatio }) => blockedRatio ?? 0));
  return [
    {
      id: 'sink',
      gravity: 'warn',
      title: `${name === undefined ? 'A sink' : `The sink ${name}`} is what this job waits for.`,
      text: `Rows wait for its acknowledgement ${ratio(sink.busyRatio ?? 0)} of the time${blocked < 0.01 ? '' : `, and partitions are not read on ${ratio(blocked)} of it`}. The job goes as fast as the sink takes rows.`,
    },
  ];
}

const phaseWords = new Map([
  ['walCommit', 'making the plan durable: the metadata store is slow'],
  ['map', 'reading and mapping records'],
  ['addBatch', 'exchange, state and sinks'],
  ['commitOffsets', 'the commit: the metadata store is slow'],
  ['fetch', 'waiting for the source'],
  ['process', 'parsing and computing: the workers’ processors are the limit'],
  ['write', 'waiting for the sinks to acknowledge rows'],
  ['sink', 'waiting for the sinks to acknowledge rows'],
  ['commit', 'committing positions: the metadata store is slow'],
]);

/** The longest phase of the last batches, when they take long. */
function phases({ view, progress }: LimitFacts): Limit[] {
  const recent = progress.slice(-20);
  const last = view.epochs?.lastProgress;
  const durations = recent.length > 0 ? recent.map(({ durationMs }) => durationMs) : last ? [last.durationMs] : [];
  const sums = new Map<string, number>();
  for (const batch of durations)
    for (const [phase, ms] of Object.entries(batch))
      if (phase !== 'triggerExecution') sums.set(phase, (sums.get(phase) ?? 0) + ms);
  const whole = [...sums.values()].reduce((sum, ms) => sum + ms, 0);
  const [phase, ms] = [...sums].reduce<[string, number]>((so, entry) => (entry[1] > so[1] ? entry : so), ['', 0]);
  const mean = durations.length === 0 ? 0 : whole / durations.length;
  if (mean < 50 || ms / whole < 0.5) return [];
  const slow = mean > 1000;
  return [
    {
      id: 'phase',
      gravity: slow ? 'warn' : 'info',
      title: `${ratio(ms / whole)} of a batch goes to ${phaseWords.get(phase) ?? phase}.`,
      text: `A batch takes ${duration(mean)}, of which ${duration(ms / durations.length)} are “${phase}”.`,
      look: { href: 'batches', label: 'Batches' },
    },
  ];
}

function records({ counters, epochs }: JobView): Limit[] {
  const found: Limit[] = [];
  if (counters.dead > 0) {
    const share = counters.dead / Math.max(1, counters.read);
    found.push({
      id: 'dead',
      gravity: share > 0.01 ? 'warn' : 'info',
      title: `${plural(counters.dead, 'record')} (${ratio(share)}) could not be used.`,
      text: 'Each is kept with its reason; it can be edited and sent again.',
      look: { href: 'dead-letters', label: 'Dead letters' },
    });
  }
  const late = Object.values(epochs?.late ?? {}).reduce((sum, rows) => sum + rows, 0);
  if (late > 0) {
    found.push({
      id: 'late',
      gravity: 'info',
      title: `${plural(late, 'row')} came after the watermark and ${late === 1 ? 'was' : 'were'} dropped.`,
      text: 'A longer watermark delay waits for them, and keeps state for longer.',
      look: { href: 'state', label: 'State' },
    });
  }
  return found;
}

function keepsUp({ view }: LimitFacts): Limit {
  const p99 =
    view.latencyMsP99 === null
      ? ''
      : ` Rows are in the sinks ${duration(view.latencyMsP99)} after their records (p99).`;
  return {
    id: 'keeps-up',
    gravity: 'good',
    title: 'Nothing limits this job: it keeps up with its topics.',
    text: `${count(view.recordsPerSecond)} records a second come and are read at once; ${lagText(view.lag)} wait.${p99}`,
  };
}

/** The same for lists, from a summary alone: jobs that somebody should look at, with the reason. `now`: ms since 1970. */
export function attentionOf(job: JobSummary, lagTrend: number | null, now: number): Limit | null {
  const reason = job.reason === null ? '' : `${job.reason.message} (${job.reason.code})`;
  if (job.state === 'failed') return { id: job.name, gravity: 'error', title: `${job.name} has failed.`, text: reason };
  if (job.state === 'starting' || job.state === 'running') {
    if (reason !== '') return { id: job.name, gravity: 'error', title: `${job.name} waits.`, text: reason };
    if (job.state === 'starting' && now - job.changedAt > STARTS_MS)
      return {
        id: job.name,
        gravity: 'warn',
        title: `${job.name} does not get going.`,
        text: `It has been starting for ${age(now - job.changedAt)}: its page says what is in its way.`,
      };
    if (job.lag >= WORTH_LAG && job.recordsPerSecond < 1)
      return {
        id: job.name,
        gravity: 'warn',
        title: `${job.name} stands still.`,
        text: `${count(job.lag)} records wait and none is read.`,
      };
    if (job.lag >= WORTH_LAG && lagTrend !== null && lagTrend > Math.max(5, job.recordsPerSecond * 0.02))
      return {
        id: job.name,
        gravity: 'warn',
        title: `${job.name} falls behind.`,
        text: `${count(job.lag)} records wait, ${count(lagTrend)} more every second.`,
      };
    if (job.counters.dead > Math.max(10, job.counters.read * 0.01))
      return {
        id: job.name,
        gravity: 'warn',
        title: `${job.name} sets records aside.`,
        text: `${plural(job.counters.dead, 'record')} of ${count(job.counters.read)} could not be used.`,
      };
  }
  return null;
}
