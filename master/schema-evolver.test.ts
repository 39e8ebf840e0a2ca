import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { WeirError } from '../core/errors.ts';
import type { JobService } from './service.ts';
import { SchemaEvolver } from './schema-evolver.ts';
import type { JobView, SchemaChangeView } from './views.ts';

const file = (schema: string, policy = 'evolve'): string => `apiVersion: weir/v1
kind: Job
name: people
sources:
  s: { connector: kafka, topic: t, schema: '${schema}', onSchemaChange: ${policy} }
query: SELECT * FROM s
sinks: [{ connector: console }]
`;

const town: SchemaChangeView = {
  source: 's',
  kind: 'new',
  column: 'town',
  before: null,
  after: 'STRING',
  partition: 0,
  offset: 7,
  message: 'town STRING is new',
};

type Outcome = Awaited<ReturnType<JobService['apply']>>;

function evolver(text: string, answer: () => Promise<Outcome>) {
  let now = 0;
  const applied: [text: string, revision: number | undefined][] = [];
  const notes: string[] = [];
  const clock = { mono: () => now } as ConstructorParameters<typeof SchemaEvolver>[1];
  const service = {
    definition: () => Promise.resolve({ revision: 1, definition: 'h', source: text, plan: {} }),
    apply: async (given: string, { expectedRevision }: { expectedRevision?: number }) => {
      applied.push([given, expectedRevision]);
      return await answer();
    },
  } as unknown as JobService;
  const subject = new SchemaEvolver(service, clock, ({ message }) => notes.push(message));
  const changes = [town];
  const look = async (ms: number, more: { state?: string; changes?: SchemaChangeView[] } = {}): Promise<void> => {
    now += ms;
    const row = { name: 'people', revision: 1, state: more.state ?? 'running' };
    subject.look([{ row, schemaChanges: more.changes ?? changes } as unknown as JobView]);
    await subject.settled;
  };
  return { applied, notes, look };
}

const updated = (): Promise<Outcome> =>
  Promise.resolve({ kind: 'applied', name: 'people', change: 'updated', revision: 2, run: 2, warnings: [] });

describe('jobs that take the new fields of their records', () => {
  test('fields that come together are one revision, by the revision that they were met in, and once', async () => {
    const { applied, notes, look } = evolver(file('id STRING'), updated);
    const both = [town, { ...town, column: 'zip' }];
    await look(0);
    await look(1500, { changes: both });
    await look(1500, { changes: both });
    assert.deepEqual(applied, [], 'they are not waited for long enough');
    await look(1500, { changes: both });
    await look(60_000, { changes: both });
    assert.equal(applied.length, 1);
    const [text = '', revision] = applied[0] ?? [];
    assert.match(text, /schema: "id STRING, `town` STRING, `zip` STRING/);
    assert.equal(revision, 1);
    assert.deepEqual(notes, ['Job people takes new fields as revision 2: s: town STRING, s: zip STRING.']);
  });

  test('a job that does not run, or did not ask for it, is left alone', async () => {
    const stopped = evolver(file('id STRING'), updated);
    for (const ms of [0, 5000, 5000]) await stopped.look(ms, { state: 'stopped' });
    assert.deepEqual(stopped.applied, []);
    await stopped.look(1);
    assert.equal(stopped.applied.length, 1, 'once it runs it is due');
    const silent = evolver(file('id STRING', 'report'), updated);
    for (const ms of [0, 5000, 5000]) await silent.look(ms);
    assert.deepEqual([silent.applied, silent.notes], [[], []]);
  });

  test('what the job refuses is told once; what may pass is tried again', async () => {
    const problems = [{ path: 'sinks[0]', message: 'web.t has no column town' }];
    const refused = evolver(file('id STRING'), () => Promise.resolve({ kind: 'refused', problems }));
    for (const ms of [0, 5000, 60_000, 60_000]) await refused.look(ms);
    assert.deepEqual(refused.notes, [
      'Job people cannot take the new fields s: town STRING: web.t has no column town.',
    ]);
    let away = true;
    const waiting = evolver(file('id STRING'), () =>
      away ? Promise.reject(new WeirError('STORE_UNAVAILABLE', 'The store is away.')) : updated(),
    );
    await waiting.look(0);
    await waiting.look(5000);
    await waiting.look(5000);
    away = false;
    await waiting.look(30_000);
    assert.equal(waiting.applied.length, 2);
    assert.deepEqual(waiting.notes, [
      'Job people does not take new fields yet: The store is away.',
      'Job people takes new fields as revision 2: s: town STRING.',
    ]);
  });
});
