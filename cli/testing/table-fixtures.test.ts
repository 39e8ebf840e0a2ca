import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { parseJobDocument } from '../../core/job/document.ts';
import { withFixtures } from './table-fixtures.ts';

const document = parseJobDocument(`
apiVersion: weir/v1
kind: Job
name: clicks
sources: { clicks: { connector: kafka, topic: clicks, schema: 'user BIGINT' } }
tables:
  users:
    connector: http
    url: https://api.example.com/users/{id}
    schema: 'id BIGINT, name STRING'
    lookup: { key: [id] }
  kinds: { schema: 'kind STRING', rows: [[a]] }
  regions: { connector: cassandra, keyspace: geo, table: regions }
query: SELECT 1
sinks: [{ connector: console }]
`);

suite('rows of a test in the place of tables', () => {
  test('take the place of what is looked up; columns go by name, and what is not named is NULL', () => {
    const { tables } = withFixtures(document, { users: [{ name: 'Ann', id: 1 }, { id: 2 }] });
    assert.deepEqual(tables, {
      users: {
        schema: 'id BIGINT, name STRING',
        rows: [
          [1, 'Ann'],
          [2, null],
        ],
      },
      kinds: { schema: 'kind STRING', rows: [['a']] },
      regions: { connector: 'cassandra', keyspace: 'geo', table: 'regions' },
    });
  });

  test('are asked for where rows are looked up, and say what is wrong with them', () => {
    assert.throws(() => withFixtures(document, {}), /looks rows of users up.*tables: \{ users: \[/);
    assert.throws(() => withFixtures(document, { users: [{ nam: 'x' }] }), /a row of the test has nam/);
    assert.throws(() => withFixtures(document, { users: [], user: [] }), /user, which is no table of the job/);
    assert.throws(() => withFixtures(document, { users: [], regions: [] }), /list the columns of regions/);
  });
});
