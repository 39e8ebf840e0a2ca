/** The job files on what their producers make: what comes out of the real stage, row by row. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { DeadLetterReason } from '../core/errors.ts';
import { deadLetterReasons } from '../core/errors.ts';
import { loadJobFile } from '../core/job/file.ts';
import { encodeRecordBatch } from '../core/record-batch-encoder.ts';
import { taskOf } from '../engine/created-users.fixture.ts';
import { planJob } from '../engine/plan/plan-job.ts';
import { compileStage } from '../engine/run-stage.ts';
import type { StageResult } from '../engine/stage.ts';
import { UserGenerator } from './producers/random-user.ts';
import type { ListingFault } from './site/listings.ts';
import { deadlyFaults, makeListings } from './site/listings.ts';

/** Runs a job of this folder with its rows as text. */
function runJob(file: string, values: readonly Uint8Array[]): StageResult {
  const { spec, problems } = loadJobFile(readFileSync(new URL(file, import.meta.url), 'utf8'));
  assert.deepEqual(problems, []);
  assert.ok(spec);
  const outcome = planJob({ ...spec, sinks: [{ connector: 'console' }] }, { tables: null });
  assert.deepEqual(outcome.problems, []);
  assert.ok(outcome.plan?.protocol === 'lanes');
  const [source] = outcome.plan.sources;
  assert.ok(source);
  return compileStage(source.stage).run(
    taskOf([encodeRecordBatch(values.map((value) => ({ key: null, value, timestampMs: 1_700_000_000_000 })))]),
  );
}

function rowsOf(result: StageResult): Record<string, unknown>[] {
  const [output] = result.sinks;
  assert.ok(output?.kind === 'console');
  return output.text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('created-users: one row per user with a post code, last names in capitals', () => {
  const users = new UserGenerator(77);
  const count = 500;
  const made = Array.from(
    { length: count },
    (_, index) => JSON.parse(users.at(index).value) as Record<string, unknown>,
  );
  const result = runJob(
    'created-users.yaml',
    Array.from({ length: count }, (_, index) => users.bytesAt(index).value),
  );
  const expected = made
    .filter((user) => user['post_code'] !== null)
    .map((user) => ({ ...user, last_name: String(user['last_name']).toUpperCase() }));
  assert.deepEqual(rowsOf(result), expected);
  assert.equal(result.counters.filtered, count - expected.length);
  assert.equal(result.counters.dead, 0);
});

test('properties: clean listings become rows, broken ones dead letters with the reason', () => {
  const listings = makeListings(1);
  const result = runJob(
    'properties.yaml',
    listings.map((listing) => listing.detail(0)),
  );
  const rows = rowsOf(result);
  const clean = listings.filter((listing) => listing.fault === null || !deadlyFaults.includes(listing.fault));
  assert.deepEqual(
    rows.map((row) => row['id']),
    clean.map((listing) => listing.id),
  );

  const reasons: Record<Exclude<ListingFault, 'price missing'>, DeadLetterReason> = {
    'cut short': 'RECORD_NOT_JSON',
    'error page': 'RECORD_NOT_JSON',
    'latin-1 bytes': 'RECORD_INVALID_UTF8',
    'no id': 'FIELD_MISSING',
    'bedrooms in words': 'CAST_INVALID',
    'price not a number': 'CAST_INVALID',
    'pictures not a list': 'FIELD_WRONG_TYPE',
  };
  const expected = deadLetterReasons.map(
    (reason) =>
      listings.filter(({ fault }) => fault !== null && fault !== 'price missing' && reasons[fault] === reason).length,
  );
  assert.deepEqual(Array.from(result.deadByReason), expected);

  for (const [index, { detail, fault }] of clean.entries()) {
    const made = JSON.parse(Buffer.from(detail(0)).toString()) as Record<string, unknown>;
    const cell = (name: string): unknown => rows[index]?.[name] ?? null;
    assert.equal(cell('price'), fault === 'price missing' ? null : Number(String(made['price']).replace(/\D/g, '')));
    assert.equal(cell('bedrooms'), Number(made['bedrooms']));
    const [, street, area, town, postCode] = /^(.*), (.*), (.*) (\S+ \S+)$/.exec(String(made['address'])) ?? [];
    assert.deepEqual([cell('street'), cell('area'), cell('town'), cell('post_code')], [street, area, town, postCode]);
    assert.deepEqual(cell('pictures'), made['pictures']);
    assert.equal(cell('picture_count'), (made['pictures'] as unknown[]).length);
    const plan = made['floor_plan'] as { url: string; rooms: number; area: string } | null;
    assert.deepEqual(
      [cell('floor_plan_url'), cell('floor_plan_rooms'), cell('floor_area_sq_ft')],
      plan === null ? [null, null, null] : [plan.url, plan.rooms, Number.parseInt(plan.area, 10)],
    );
    assert.equal(cell('listed'), made['listed']);
  }
});
