import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parquetReadObjects } from 'hyparquet';
import type { QueryResult } from '../../core/ports.ts';
import { resultFile } from './result-file.ts';

const result: QueryResult = {
  columns: [
    { name: 'id', type: 'int' },
    { name: 'n', type: 'bigint' },
    { name: 'price', type: 'decimal' },
    { name: 'at', type: 'timestamp' },
    { name: 'day', type: 'date' },
    { name: 'tags', type: 'list<text>' },
    { name: 'note', type: 'text' },
  ],
  rows: [
    [1, '9007199254740993', '-12.5', '2024-05-01T10:00:00.000Z', '2024-05-01', ['a', 'b'], 'say "hi", ü'],
    [null, null, '0.25', null, null, null, ''],
  ],
};

describe('the answer to a query as a file', () => {
  test('Parquet keeps types and every digit', async () => {
    const rows = await parquetReadObjects({ file: Uint8Array.from(resultFile(result, 'parquet')).buffer });
    assert.deepEqual(rows, [
      {
        id: 1,
        n: 9_007_199_254_740_993n,
        price: -12.5,
        at: new Date('2024-05-01T10:00:00Z'),
        day: new Date('2024-05-01T00:00:00Z'),
        tags: '["a","b"]',
        note: 'say "hi", ü',
      },
      { id: null, n: null, price: 0.25, at: null, day: null, tags: null, note: '' },
    ]);
  });

  test('lines', () => {
    assert.deepEqual(Buffer.from(resultFile(result, 'csv')).toString().split('\n'), [
      'id,n,price,at,day,tags,note',
      '1,9007199254740993,-12.5,2024-05-01T10:00:00.000Z,2024-05-01,"[""a"",""b""]","say ""hi"", ü"',
      ',,0.25,,,,""',
      '',
    ]);
    const [first = ''] = Buffer.from(resultFile(result, 'ndjson')).toString().split('\n');
    assert.equal(JSON.parse(first).tags[1], 'b');
  });
});
