/** Schedules in virtual time: what runs when, what overlaps, what is tried again. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { JobState } from '../states.ts';
import { cronProblem, nextTime } from './cron.ts';
import type { Schedule, ScheduledRun, ScheduleState } from './decide.ts';
import { RUNS_KEPT, beginSchedule, decideSchedule } from './decide.ts';

const MINUTE = 60_000;
const T0 = Date.UTC(2024, 4, 1, 12, 0, 0);
const minutely: Schedule = {
  cron: '* * * * *',
  timeZone: 'UTC',
  catchUp: false,
  maxActiveRuns: 1,
  retries: 0,
  retryDelayMs: 1000,
  timeoutMs: null,
};

/** A job that follows its schedule, looked at every second. */
class World {
  readonly #schedule: Schedule;
  now = T0 + 1;
  job: JobState = 'finished';
  reason: ScheduledRun['reason'] = null;
  state: ScheduleState;
  /** Times of starts, s after T0. */
  readonly starts: number[] = [];

  constructor(changes: Partial<Schedule> = {}) {
    this.#schedule = { ...minutely, ...changes };
    this.state = beginSchedule(this.#schedule, this.now);
  }

  look(): void {
    const { now, job, reason } = this;
    const { state, action } = decideSchedule(this.#schedule, this.state, { now, job, reason });
    this.state = state;
    if (action === 'start') {
      this.starts.push(Math.round((now - T0) / 1000));
      this.job = 'running';
      this.reason = null;
    } else if (action === 'fail') {
      this.job = 'failed';
      this.reason = { code: 'TIMED_OUT', message: '' };
    }
  }

  pass(seconds: number): void {
    for (let second = 0; second < seconds; second++) {
      this.now += 1000;
      this.look();
    }
  }

  /** The run under way ends. */
  end(job: JobState, reason: ScheduledRun['reason'] = null): void {
    this.job = job;
    this.reason = reason;
    this.look();
  }

  get states(): string[] {
    return this.state.runs.map(({ state }) => state).toReversed();
  }
}

suite('a schedule', () => {
  test('starts the job at its times and not before the first', () => {
    const world = new World();
    for (let minute = 0; minute < 3; minute++) {
      world.pass(60);
      world.end('finished');
    }
    assert.deepEqual(world.starts, [60, 120, 180]);
    assert.deepEqual(world.states, ['succeeded', 'succeeded', 'succeeded']);
    assert.deepEqual(world.state.runs[0]?.scheduledFor, T0 + 3 * MINUTE);
  });

  test('changes nothing between its times', () => {
    const world = new World();
    const before = world.state;
    world.pass(30);
    assert.equal(world.state, before);
  });

  test('a time that comes while the last run goes on is skipped', () => {
    const world = new World();
    world.pass(150);
    world.end('finished');
    world.pass(40);
    assert.deepEqual(world.starts, [60, 180]);
    assert.deepEqual(world.states, ['succeeded', 'skipped', 'running']);
  });

  test('or waits, when more runs may be open', () => {
    const world = new World({ maxActiveRuns: 2 });
    world.pass(200);
    assert.deepEqual(world.states, ['running', 'waiting', 'skipped']);
    world.end('finished');
    assert.deepEqual(world.starts, [60, 200]);
  });

  test('times missed while no master was there: the latest, or all of them', () => {
    for (const [catchUp, expected] of [
      [false, 1],
      [true, 5],
    ] as const) {
      const world = new World({ catchUp });
      world.now += 5 * MINUTE;
      for (let run = 0; run < 8; run++) {
        world.look();
        if (world.job === 'running') world.end('finished');
      }
      assert.equal(world.starts.length, expected);
      assert.equal(world.state.runs[0]?.scheduledFor, T0 + 5 * MINUTE);
    }
  });

  test('a failed run is tried again after a while, then given up', () => {
    const world = new World({ retries: 2, retryDelayMs: 10_000 });
    const reason = { code: 'SINK_REFUSED', message: 'no' };
    world.pass(60);
    world.end('failed', reason);
    assert.equal(world.state.runs[0]?.state, 'retrying');
    world.pass(10);
    world.end('failed', reason);
    world.pass(10);
    assert.deepEqual(world.starts, [60, 70, 80]);
    world.end('failed', reason);
    assert.deepEqual(world.states, ['failed']);
    assert.deepEqual(world.state.runs[0]?.reason, reason);
    assert.equal(world.state.runs[0]?.attempts, 3);
    world.pass(40);
    assert.deepEqual(world.starts, [60, 70, 80, 120]);
  });

  test('a run that takes too long is ended, and tried again like any that failed', () => {
    const world = new World({ timeoutMs: 20_000, retries: 1, retryDelayMs: 5000 });
    world.pass(90);
    assert.deepEqual(world.starts, [60, 86]);
    world.pass(40);
    assert.equal(world.states[0], 'timedOut');
  });

  test('a job that was stopped rests until it is started', () => {
    const world = new World();
    world.pass(61);
    world.end('stopped');
    world.pass(200);
    assert.deepEqual(world.states, ['cancelled']);
    // By hand.
    world.job = 'running';
    world.look();
    assert.deepEqual([world.states.at(-1), world.state.runs[0]?.scheduledFor], ['running', null]);
    world.end('finished');
    world.pass(60);
    assert.equal(world.starts.length, 2);
  });

  test('keeps a bounded history', () => {
    const world = new World();
    for (let minute = 0; minute < RUNS_KEPT + 20; minute++) {
      world.pass(60);
      world.end('finished');
    }
    assert.equal(world.state.runs.length, RUNS_KEPT);
    assert.equal(world.state.runs[0]?.number, RUNS_KEPT + 20);
  });

  test('another expression counts from now on', () => {
    const world = new World();
    world.pass(61);
    world.end('finished');
    const hourly = { ...minutely, cron: '0 * * * *' };
    const facts = { now: world.now, job: 'finished', reason: null } as const;
    const { state, action } = decideSchedule(hourly, world.state, facts);
    assert.equal(action, 'none');
    assert.equal(state.next, T0 + 60 * MINUTE);
    assert.equal(state.runs.length, 1);
  });
});

suite('times of a cron expression', () => {
  test('in a time zone, over the change of clocks', () => {
    const daily = (after: string): string =>
      new Date(nextTime('30 2 * * *', 'Europe/Berlin', Date.parse(after)) ?? 0).toISOString();
    assert.equal(daily('2024-01-10T00:00:00Z'), '2024-01-10T01:30:00.000Z');
    assert.equal(daily('2024-07-10T00:00:00Z'), '2024-07-10T00:30:00.000Z');
    // 02:30 comes twice on this day, and is one time.
    const autumn = daily('2024-10-26T12:00:00Z');
    assert.notEqual(daily(autumn).slice(0, 10), autumn.slice(0, 10));
  });

  test('what is none is explained', () => {
    assert.equal(cronProblem('*/5 * * * *', 'Europe/Oslo'), undefined);
    assert.match(cronProblem('61 * * * *', 'UTC') ?? '', /61|minute/i);
    assert.notEqual(cronProblem('* * * * *', 'Mars/Olympus'), undefined);
  });
});
