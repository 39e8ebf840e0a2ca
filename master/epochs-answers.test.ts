import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { EpochHead, EpochPlan } from '../core/epoch/types.ts';
import { epoch, fence, jobName, laneId, offset, partition, run, topicId } from '../core/ids.ts';
import { zeroCounters } from '../core/lane/position.ts';
import { jobText, planOf } from '../engine/epoch/test-run.ts';
import type { EpochsPlan } from '../engine/plan/epoch-plan.ts';
import { noLog } from '../test/conformance/no-log.ts';
import { EpochAnswers, answersOf } from './epochs-answers.ts';

const job = jobName('test');
const users = { connector: 'http', url: 'http://x/{id}', schema: 'id BIGINT, name STRING', lookup: { key: ['id'] } };
const looking = planOf(
  jobText(
    'SELECT u.name, count(*) AS n FROM ev e JOIN users u ON u.id = e.id GROUP BY u.name',
    { ev: 'id BIGINT' },
    { outputMode: 'update', tables: { users } },
  ),
);
const plain = planOf(
  jobText('SELECT id, count(*) AS n FROM ev GROUP BY id', { ev: 'id BIGINT' }, { outputMode: 'update' }),
);

const lane = laneId({ source: 'ev', topicId: topicId('T'), partition: partition(3) });

function epochPlan(number: number, repeats?: number): EpochPlan {
  return {
    formatVersion: 1,
    epoch: epoch(number),
    epochTsUs: 1000 * number,
    ...(repeats === undefined ? {} : { repeats }),
    token: fence(1),
    ranges: { [lane]: { from: offset(0), to: offset(1) } },
    lateUs: null,
    evictUs: null,
    idle: [],
    statics: {},
  };
}

function headAt(planned: number, former: number | null): EpochHead {
  const snapshot = former === null ? null : { epoch: epoch(former), manifest: `m/${former}` };
  return {
    formatVersion: 1,
    job,
    run: run(1),
    ver: 1,
    nonce: '',
    fence: fence(1),
    planned: epoch(planned),
    committed: epoch(planned),
    epochTsUs: 0,
    positions: {},
    starts: {},
    eventTimes: [],
    watermarkUs: null,
    evictUs: null,
    ends: null,
    placement: null,
    snapshot,
    formerSnapshot: snapshot,
    base: null,
    counters: zeroCounters,
    late: {},
  };
}

function answers(
  plan: EpochsPlan,
  stored: readonly EpochPlan[] = [],
): { readonly of: EpochAnswers; readonly gone: string[] } {
  const gone: string[] = [];
  const of = new EpochAnswers({
    job,
    run: run(1),
    plan,
    store: {
      readPlans: (_job, _run, from, to) =>
        Promise.resolve(stored.filter((each) => each.epoch >= from && each.epoch <= to)),
    },
    blobs: {
      delete: (ids) => {
        gone.push(...ids);
        return Promise.resolve();
      },
    },
    log: noLog,
  });
  return { of, gone };
}

const idsOf = (...plans: readonly EpochPlan[]): string[] => answersOf(job, looking, plans);

suite('answers of lookups', () => {
  test('are named by definition, time and partition; a repeated epoch has those of the one that it repeats', () => {
    const [id = ''] = idsOf(epochPlan(7));
    assert.match(id, /^test\/lookup\/[0-9a-f]{8}\/7000\/ev.*3$/);
    assert.deepEqual(idsOf(epochPlan(9, 7000)), [id]);
    assert.deepEqual(answersOf(job, plain, [epochPlan(7)]), []);
  });

  test('go when the snapshot before the newest covers their epoch, and not sooner', async () => {
    const { of, gone } = answers(looking);
    for (let number = 0; number < 6; number++) of.planned(epochPlan(number));
    of.collect(headAt(5, null));
    assert.deepEqual(gone, []);
    of.collect(headAt(5, 2));
    await Promise.resolve();
    assert.deepEqual(gone, idsOf(epochPlan(0), epochPlan(1), epochPlan(2)));
  });

  test('of a leader before are found again, and deleted once more', async () => {
    const stored = [0, 1, 2, 3].map((number) => epochPlan(number));
    const { of, gone } = answers(looking, stored);
    await of.open(headAt(3, 1));
    of.collect(headAt(3, 1));
    await Promise.resolve();
    assert.deepEqual(gone, idsOf(epochPlan(0), epochPlan(1)));
  });

  test('a job without lookups keeps none', async () => {
    const { of, gone } = answers(plain, [epochPlan(0)]);
    await of.open(headAt(0, 0));
    of.planned(epochPlan(1));
    of.collect(headAt(1, 1));
    await Promise.resolve();
    assert.deepEqual(gone, []);
  });
});
