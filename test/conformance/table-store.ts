/** The contract of TableStore and TableWriter, for every implementation. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { isWeirError, WeirError, type ErrorCode } from '../../core/errors.ts';
import type { WritePermit } from '../../core/lane/permit.ts';
import type { QueryResult, TableStore } from '../../core/ports.ts';
import { replaces, type Cell } from '../../core/table/cell.ts';
import { parseCqlType } from '../../core/table/cql-type.ts';
import type { TableColumn, TableSchema } from '../../core/table/schema.ts';
import { decodeValue, encodeValue } from '../../core/table/values.ts';
import { buildRows, shapeOf, type TestRow } from './rows.ts';

export interface TableStoreFixture {
  readonly store: TableStore;
  close(): Promise<void>;
}

const always: WritePermit = { valid: () => true, check: () => undefined };
/** µs; near today, as Cassandra's clock-based writes are. */
const T0 = 1_700_000_000_000_000;

const columnsOf = (types: Readonly<Record<string, string>>): TableColumn[] =>
  Object.entries(types).map(([name, type]) => ({ name, type: parseCqlType(type) }));

const code =
  (expected: ErrorCode, message?: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(isWeirError(error), `a WeirError, not ${String(error)}`);
    assert.equal(error.code, expected, error.message);
    if (message !== undefined) assert.match(error.message, message);
    return true;
  };

/** The rows as objects by column name. */
const objects = (result: QueryResult): Record<string, unknown>[] =>
  result.rows.map((row) => Object.fromEntries(result.columns.map((column, index) => [column.name, row[index]])));

/** Registers the suite; the keyspaces it makes have unique names. */
export function tableStoreContract(name: string, make: () => Promise<TableStoreFixture>): void {
  describe(`TableStore contract: ${name}`, () => {
    const keyspace = `contract_${randomUUID().slice(0, 8)}`;
    let fixture: TableStoreFixture;
    let store: TableStore;
    let count = 0;

    const schema = (
      types: Readonly<Record<string, string>>,
      partitionKey: string[],
      clusteringKey: string[] = [],
    ): TableSchema => ({
      keyspace,
      table: `t${++count}`,
      columns: columnsOf(types),
      partitionKey,
      clusteringKey,
    });
    const created = async (...args: Parameters<typeof schema>): Promise<TableSchema> => {
      const table = schema(...args);
      await store.create(table);
      return table;
    };
    const write = async (table: TableSchema, rows: readonly TestRow[], permit = always): Promise<void> => {
      const shape = shapeOf(table);
      const writer = await store.open(shape);
      try {
        await writer.write(buildRows(shape, rows), permit);
      } finally {
        await writer.close();
      }
    };
    const upsert = (values: readonly unknown[], timestamp: number): TestRow => ({ op: 'upsert', values, timestamp });
    const select = async (cql: string): Promise<Record<string, unknown>[]> => objects(await store.query(cql));

    before(async () => {
      fixture = await make();
      store = fixture.store;
    });
    after(async () => {
      if (fixture === undefined) return;
      await store.query(`DROP KEYSPACE ${keyspace}`).catch(() => undefined);
      await fixture.close();
    });

    // ------------------------------------------------------------------------------------------------------ schema

    test('describe gives what create made, and undefined for what is not there', async () => {
      assert.equal(await store.describe('no_such_keyspace', 't'), undefined);
      const table: TableSchema = {
        ...schema(
          { b: 'int', a: 'text', c: 'timestamp', d: 'map<text, frozen<list<int>>>', e: 'decimal' },
          ['b', 'a'],
          ['c'],
        ),
        clusteringOrder: ['desc'],
      };
      assert.equal(await store.describe(keyspace, table.table), undefined);
      await store.create(table);
      assert.equal(await store.describe(keyspace, 'no_such_table'), undefined);
      const found = await store.describe(keyspace, table.table);
      assert.ok(found);
      assert.deepEqual(
        [found.keyspace, found.table, found.partitionKey, found.clusteringKey, found.clusteringOrder],
        [keyspace, table.table, ['b', 'a'], ['c'], ['desc']],
      );
      const byName = (columns: readonly TableColumn[]): TableColumn[] =>
        columns.map(({ name, type }) => ({ name, type })).sort((x, y) => (x.name < y.name ? -1 : 1));
      assert.deepEqual(byName(found.columns), byName(table.columns));
    });

    test('creating twice, also at the same time, keeps table and rows', async () => {
      const table = schema({ id: 'int', v: 'text' }, ['id']);
      await Promise.all([store.create(table), store.create(table), store.create(table)]);
      await write(table, [upsert([1, 'a'], T0)]);
      await store.create(table);
      assert.deepEqual(await select(`SELECT id, v FROM ${keyspace}.${table.table}`), [{ id: 1, v: 'a' }]);
    });

    test('a table that exists must fit; what does not is named', async () => {
      const table = await created({ id: 'int', v: 'text', extra: 'int' }, ['id']);
      await store.create({ ...table, columns: columnsOf({ id: 'int', v: 'text' }) });
      await assert.rejects(
        store.create({ ...table, columns: columnsOf({ id: 'int', missing_one: 'text' }) }),
        code('SINK_SCHEMA', /missing_one/),
      );
      await assert.rejects(
        store.create({ ...table, columns: columnsOf({ id: 'int', v: 'bigint' }) }),
        code('SINK_SCHEMA', /\bv\b.*text/),
      );
      await assert.rejects(store.create({ ...table, partitionKey: ['id', 'v'] }), code('SINK_SCHEMA', /primary key/));
    });

    test('a table that exists is given the columns that it lacks, when that is asked for', async () => {
      const table = await created({ id: 'int', v: 'text' }, ['id']);
      await write(table, [upsert([1, 'a'], T0)]);
      const wider = { ...table, columns: columnsOf({ id: 'int', v: 'text', n: 'int', m: 'text' }) };
      await Promise.all([store.create(wider, { addColumns: true }), store.create(wider, { addColumns: true })]);
      await store.create(table, { addColumns: true });
      await write(wider, [upsert([2, 'b', 5, 'x'], T0)]);
      await write(table, [upsert([1, 'c'], T0 + 1)]);
      const rowOf = (id: number) => select(`SELECT id, v, n, m FROM ${keyspace}.${table.table} WHERE id = ${id}`);
      assert.deepEqual(await rowOf(1), [{ id: 1, v: 'c', n: null, m: null }]);
      assert.deepEqual(await rowOf(2), [{ id: 2, v: 'b', n: 5, m: 'x' }]);
      const other = { ...table, columns: columnsOf({ id: 'int', v: 'bigint', late: 'int' }) };
      await assert.rejects(store.create(other, { addColumns: true }), code('SINK_SCHEMA', /\bv\b.*text/));
      const found = await store.describe(keyspace, table.table);
      assert.deepEqual(found?.columns.map(({ name }) => name).toSorted(), ['id', 'm', 'n', 'v']);
    });

    test('a writer opens only for rows that fit', async () => {
      const table = await created({ id: 'int', v: 'text' }, ['id']);
      await assert.rejects(
        store.open(shapeOf({ ...table, columns: columnsOf({ id: 'int', gone: 'text' }) })),
        code('SINK_SCHEMA', /gone/),
      );
      await assert.rejects(
        store.open(shapeOf({ ...table, columns: columnsOf({ id: 'text', v: 'text' }) })),
        code('SINK_SCHEMA', /\bid\b/),
      );
      await assert.rejects(store.open(shapeOf({ ...table, table: 'absent' })), code('SINK_SCHEMA', /absent/));
    });

    test('names keep their case', async () => {
      const table: TableSchema = {
        keyspace,
        table: 'MixedCase',
        columns: columnsOf({ Id: 'int', postCode: 'text' }),
        partitionKey: ['Id'],
        clusteringKey: [],
      };
      await store.create(table);
      await write(table, [upsert([1, 'x'], T0)]);
      assert.deepEqual(await select(`SELECT "Id", "postCode" FROM ${keyspace}."MixedCase"`), [
        { Id: 1, postCode: 'x' },
      ]);
    });

    // -------------------------------------------------------------------------------------------------------- rows

    const samples: Readonly<Record<string, readonly unknown[]>> = {
      ascii: ['', 'plain'],
      text: ['', 'é🙂\n\'"', 'x'.repeat(100_000)],
      tinyint: [-128, 127],
      smallint: [-32768, 0],
      int: [-(2 ** 31), 2 ** 31 - 1],
      bigint: [42, '9223372036854775807', '-9007199254740993'],
      varint: [0, '-123456789012345678901234567890'],
      decimal: ['0', '-0.001', '12345678901234567890.50'],
      float: [0.1, -3.5e30, 'NaN'],
      double: [0.1, 5e-324, '-Infinity'],
      boolean: [true, false],
      timestamp: ['1969-12-31T23:59:59.999Z', '2024-02-29T12:00:00.001Z'],
      date: ['1582-10-15', '2024-02-29'],
      time: ['00:00:00.000000000', '23:59:59.999999999'],
      uuid: ['00112233-4455-6677-8899-aabbccddeeff'],
      timeuuid: ['e23f1e02-8f5b-11ee-b9d1-0242ac120002'],
      blob: ['0x', '0x00ff'],
      inet: ['127.0.0.1', '2001:db8::1'],
      'frozen<list<text>>': [['a', 'a', ''], []],
      'list<int>': [[3, 1, 3]],
      'set<int>': [[1, 2]],
      'map<text, double>': [{ a: 1.5, z: -1 }],
      'frozen<map<int, frozen<set<text>>>>': [{ 1: ['a'], 2: [] }],
      'frozen<tuple<int, text>>': [[1, null]],
    };

    test('every type is written and read back', async () => {
      const types = Object.keys(samples);
      const table = await created(
        Object.fromEntries([['id', 'int'], ...types.map((type, index) => [`c${index}`, type])]),
        ['id'],
      );
      const depth = Math.max(...types.map((type) => samples[type]!.length));
      const rows = Array.from({ length: depth }, (_, row) => [
        row,
        ...types.map((type) => samples[type]![row % samples[type]!.length]),
      ]);
      await write(
        table,
        rows.map((values) => upsert(values, T0)),
      );
      for (const values of rows) {
        const result = await store.query(
          `SELECT id, ${types.map((_, index) => `c${index}`).join(', ')} FROM ${keyspace}.${table.table} WHERE id = ${String(values[0])}`,
        );
        assert.deepEqual(result.rows, [values]);
        JSON.stringify(result.rows);
      }
    });

    test('many rows in one block, over partitions and within one', async () => {
      const table = await created({ p: 'text', c: 'int', v: 'text' }, ['p'], ['c']);
      const rows = Array.from({ length: 3000 }, (_, index) =>
        upsert([index % 3 === 0 ? 'one' : `p${index}`, index, `v${index}`], T0 + index),
      );
      await write(table, rows);
      assert.deepEqual((await store.query(`SELECT count(*) FROM ${keyspace}.${table.table}`)).rows, [[3000]]);
      assert.deepEqual((await store.query(`SELECT count(*) FROM ${keyspace}.${table.table} WHERE p = 'one'`)).rows, [
        [1000],
      ]);
      assert.deepEqual(await select(`SELECT v FROM ${keyspace}.${table.table} WHERE p = 'p2999' AND c = 2999`), [
        { v: 'v2999' },
      ]);
    });

    test('an empty block is nothing', async () => {
      const table = await created({ id: 'int', v: 'text' }, ['id']);
      await write(table, []);
    });

    test('null erases, unset leaves, in any order of arrival', async () => {
      const table = await created({ id: 'int', a: 'text', b: 'text' }, ['id']);
      await write(table, [upsert([1, 'old', 'old'], T0), upsert([2, 'old', 'old'], T0)]);
      await write(table, [upsert([1, null, undefined], T0 + 10), upsert([2, undefined, 'new'], T0 + 10)]);
      await write(table, [upsert([1, 'late', 'late'], T0 + 5), upsert([2, 'late', 'late'], T0 + 5)]);
      assert.deepEqual(await select(`SELECT a, b FROM ${keyspace}.${table.table} WHERE id = 1`), [
        { a: null, b: 'late' },
      ]);
      assert.deepEqual(await select(`SELECT a, b FROM ${keyspace}.${table.table} WHERE id = 2`), [
        { a: 'late', b: 'new' },
      ]);
    });

    test('a row of nulls is a row, and a delete removes it', async () => {
      const table = await created({ id: 'int', a: 'text' }, ['id']);
      await write(table, [upsert([1, null], T0), upsert([2, null], T0), upsert([3, 'x'], T0 + 1)]);
      await write(table, [
        { op: 'delete', values: [2], timestamp: T0 },
        { op: 'delete', values: [3], timestamp: T0 },
      ]);
      assert.deepEqual(
        (await select(`SELECT id FROM ${keyspace}.${table.table}`)).map((row) => row['id']).sort(),
        [1, 3],
      );
    });

    test('timestamps from 0 on are kept exactly', async () => {
      const table = await created({ id: 'int', a: 'text' }, ['id']);
      await write(table, [upsert([1, 'b'], 1), upsert([1, 'c'], 0), upsert([2, 'x'], 0)]);
      await write(table, [upsert([3, 'later'], Number.MAX_SAFE_INTEGER)]);
      await write(table, [upsert([3, 'earlier'], Number.MAX_SAFE_INTEGER - 1)]);
      const rows = await select(`SELECT id, a FROM ${keyspace}.${table.table}`);
      assert.deepEqual(
        new Map(rows.map((row) => [row['id'], row['a']])),
        new Map([
          [1, 'b'],
          [2, 'x'],
          [3, 'later'],
        ] as const),
      );
    });

    test('static columns belong to the partition', async () => {
      const table: TableSchema = {
        ...schema({ p: 'int', c: 'int', v: 'text' }, ['p'], ['c']),
        columns: [
          ...columnsOf({ p: 'int', c: 'int', v: 'text' }),
          { name: 's', type: { kind: 'text' }, isStatic: true },
        ],
      };
      await store.create(table);
      assert.equal(
        (await store.describe(keyspace, table.table))?.columns.find((column) => column.name === 's')?.isStatic,
        true,
      );
      await write(table, [upsert([1, 1, 'a', 'first'], T0), upsert([1, 2, 'b', 'second'], T0 + 1)]);
      assert.deepEqual(await select(`SELECT c, v, s FROM ${keyspace}.${table.table} WHERE p = 1`), [
        { c: 1, v: 'a', s: 'second' },
        { c: 2, v: 'b', s: 'second' },
      ]);
    });

    test('any writes, shuffled, split and doubled, end as the cell rule says', async () => {
      const table = await created({ p: 'text', c: 'int', a: 'text', b: 'int' }, ['p'], ['c']);
      const shape = shapeOf(table);
      const writer = await store.open(shape);
      let round = 0;
      const cell = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | null | undefined> =>
        fc.oneof({ weight: 4, arbitrary: values }, fc.constant(null), fc.constant(undefined));
      const timestamp = fc.integer({ min: T0, max: T0 + 5 });
      const key = fc.integer({ min: 0, max: 2 });
      const operation = fc.oneof(
        {
          weight: 5,
          arbitrary: fc.record({
            op: fc.constant('upsert' as const),
            key,
            a: cell(fc.constantFrom('', 'a', 'b', 'ab', 'é')),
            b: cell(fc.constantFrom(5, -5, 0, 300)),
            timestamp,
          }),
        },
        fc.record({ op: fc.constant('delete' as const), key, timestamp }),
      );
      const operations = fc.array(operation, { minLength: 1, maxLength: 40 }).chain((list) =>
        fc.record({
          list: fc.constant(list),
          order: fc.shuffledSubarray([...list, ...list], { minLength: list.length * 2 }),
          split: fc.integer({ min: 1, max: 20 }),
        }),
      );
      try {
        await fc.assert(
          fc.asyncProperty(operations, async ({ list, order, split }) => {
            const partition = `round${round++}`;
            const rows = order.map((item): TestRow =>
              item.op === 'delete'
                ? { op: 'delete', values: [partition, item.key], timestamp: item.timestamp }
                : { op: 'upsert', values: [partition, item.key, item.a, item.b], timestamp: item.timestamp },
            );
            const blocks: TestRow[][] = [];
            for (let at = 0; at < rows.length; at += split) blocks.push(rows.slice(at, at + split));
            await Promise.all(blocks.map((block) => writer.write(buildRows(shape, block), always)));
            const model = new ModelTable(2);
            for (const item of list) {
              if (item.op === 'delete') model.delete(item.key, item.timestamp);
              else
                model.upsert(item.key, [encodeOrUnset('text', item.a), encodeOrUnset('int', item.b)], item.timestamp);
            }
            const expected = model.rows().map(([c, [a, b]]) => ({
              c,
              a: decodeValue({ kind: 'text' }, a ?? null),
              b: decodeValue({ kind: 'int' }, b ?? null),
            }));
            assert.deepEqual(
              await select(`SELECT c, a, b FROM ${keyspace}.${table.table} WHERE p = '${partition}'`),
              expected,
            );
          }),
          { numRuns: 60 },
        );
      } finally {
        await writer.close();
      }
    });

    // ------------------------------------------------------------------------------------------------------ permit

    test('without a permit nothing is sent', async () => {
      const table = await created({ id: 'int', a: 'text' }, ['id']);
      const never: WritePermit = {
        valid: () => false,
        check: () => {
          throw new WeirError('FENCED', 'not mine');
        },
      };
      await assert.rejects(write(table, [upsert([1, 'x'], T0)], never), code('FENCED', /not mine/));
      assert.deepEqual(await select(`SELECT id FROM ${keyspace}.${table.table}`), []);
    });

    test('a permit that ends midway ends the write, and the writer goes on with another', async () => {
      const table = await created({ id: 'int', a: 'text' }, ['id']);
      const shape = shapeOf(table);
      const writer = await store.open(shape);
      let left = 1;
      const ending: WritePermit = {
        valid: () => left > 0,
        check: () => {
          if (left-- <= 0) throw new WeirError('FENCED', 'handed over');
        },
      };
      const rows = Array.from({ length: 2000 }, (_, id) => upsert([id, 'x'], T0));
      const first = await writer.write(buildRows(shape, rows), ending).then(
        () => 'written',
        (error: unknown) => (isWeirError(error, 'FENCED') ? 'fenced' : error),
      );
      // A store that takes the block in one send needs one check only.
      assert.ok(first === 'written' || first === 'fenced', String(first));
      await writer.write(buildRows(shape, rows), always);
      assert.deepEqual((await store.query(`SELECT count(*) FROM ${keyspace}.${table.table}`)).rows, [[2000]]);
      assert.deepEqual([writer.stats().inFlight, writer.stats().blockedBy], [0, null]);
      await writer.close();
    });

    // ------------------------------------------------------------------------------------------------------- query

    test('what people type: columns, keys, limits, counts', async () => {
      const table = await created({ p: 'text', c: 'int', v: 'double', t: 'timestamp' }, ['p'], ['c']);
      const name = `${keyspace}.${table.table}`;
      await write(table, [
        ...[1, 2, 3, 4].map((c) => upsert(['a', c, c / 2, '2024-01-01T00:00:00.000Z'], T0)),
        upsert(["it's", 1, null, null], T0),
      ]);
      const all = await store.query(`SELECT * FROM ${name} WHERE p = 'a' AND c = 3;`);
      assert.deepEqual(objects(all), [{ p: 'a', c: 3, v: 1.5, t: '2024-01-01T00:00:00.000Z' }]);
      assert.deepEqual(
        new Map(all.columns.map((column) => [column.name, column.type])),
        new Map([
          ['p', 'text'],
          ['c', 'int'],
          ['v', 'double'],
          ['t', 'timestamp'],
        ]),
      );
      assert.deepEqual(await select(`select c from ${name} where p = 'a' limit 2`), [{ c: 1 }, { c: 2 }]);
      assert.deepEqual(await select(`SELECT c FROM ${name} WHERE p = 'it''s'`), [{ c: 1 }]);
      assert.deepEqual(await select(`SELECT c FROM ${name} WHERE p = 'nobody'`), []);
      const counted = await store.query(`SELECT COUNT(*) FROM ${name}`);
      assert.deepEqual([counted.columns[0]?.name, counted.rows], ['count', [[5]]]);
      assert.equal((await store.query(`SELECT * FROM ${name} LIMIT 3`)).rows.length, 3);
    });

    test('clustering order is the order of rows', async () => {
      const table: TableSchema = { ...schema({ p: 'int', c: 'int' }, ['p'], ['c']), clusteringOrder: ['desc'] };
      await store.create(table);
      await write(
        table,
        [3, -1, 2, 10].map((c) => upsert([1, c], T0)),
      );
      assert.deepEqual(
        (await select(`SELECT c FROM ${keyspace}.${table.table} WHERE p = 1`)).map((row) => row['c']),
        [10, 3, 2, -1],
      );
    });

    test('DESCRIBE lists keyspaces and tables and prints a table', async () => {
      const table = await created({ id: 'int', some_column: 'text' }, ['id']);
      const names = async (cql: string): Promise<unknown[]> => (await select(cql)).map((row) => row['name']);
      assert.ok((await names('DESCRIBE KEYSPACES')).includes(keyspace));
      assert.ok((await names('describe tables;')).includes(table.table));
      const [printed] = await select(`DESCRIBE TABLE ${keyspace}.${table.table}`);
      assert.match(String(printed?.['create_statement']), /CREATE TABLE[^]*some_column/);
      assert.match(String(printed?.['create_statement']), /PRIMARY KEY/);
    });

    test('mistakes get an answer that names them', async () => {
      const table = await created({ id: 'int', v: 'text' }, ['id']);
      await assert.rejects(store.query(`SELECT * FROM ${keyspace}.nothing_here`), code('NOT_FOUND', /nothing_here/));
      await assert.rejects(store.query(`SELECT nope FROM ${keyspace}.${table.table}`), code('NOT_FOUND', /nope/));
      await assert.rejects(store.query(`DESCRIBE TABLE ${keyspace}.nothing_here`), code('NOT_FOUND', /nothing_here/));
      await assert.rejects(store.query(`SELEC * FROM ${keyspace}.${table.table}`), code('SQL_SYNTAX'));
      await assert.rejects(
        store.query(`SELECT * FROM ${keyspace}.${table.table} WHERE id = 'text'`),
        code('SQL_SEMANTIC'),
      );
    });
  });
}

const encodeOrUnset = (
  type: 'text' | 'int',
  value: string | number | null | undefined,
): Uint8Array | null | undefined => (value === undefined ? undefined : encodeValue({ kind: type }, value));

/** One partition in memory: the cell rule of core/table/cell.ts and nothing else. */
class ModelTable {
  readonly #columnCount: number;
  readonly #rows = new Map<number, { marker: Cell | undefined; cells: (Cell | undefined)[] }>();

  constructor(columnCount: number) {
    this.#columnCount = columnCount;
  }

  upsert(key: number, values: readonly (Uint8Array | null | undefined)[], timestamp: number): void {
    const row = this.#row(key);
    const marker = { timestamp, value: new Uint8Array(0) };
    if (replaces(marker, row.marker)) row.marker = marker;
    values.forEach((value, index) => {
      if (value !== undefined && replaces({ timestamp, value }, row.cells[index]))
        row.cells[index] = { timestamp, value };
    });
  }

  /** A deleted row is a tombstone in its marker and every cell. */
  delete(key: number, timestamp: number): void {
    const row = this.#row(key);
    const tombstone = { timestamp, value: null };
    if (replaces(tombstone, row.marker)) row.marker = tombstone;
    row.cells.forEach((cell, index) => {
      if (replaces(tombstone, cell)) row.cells[index] = tombstone;
    });
  }

  /** Rows that have a marker or a value, by key. */
  rows(): [number, (Uint8Array | null)[]][] {
    return [...this.#rows]
      .sort(([a], [b]) => a - b)
      .filter(
        ([, row]) => (row.marker?.value ?? null) !== null || row.cells.some((cell) => (cell?.value ?? null) !== null),
      )
      .map(([key, row]) => [key, row.cells.map((cell) => cell?.value ?? null)]);
  }

  #row(key: number): { marker: Cell | undefined; cells: (Cell | undefined)[] } {
    let row = this.#rows.get(key);
    if (row === undefined) {
      row = { marker: undefined, cells: Array.from({ length: this.#columnCount }, () => undefined) };
      this.#rows.set(key, row);
    }
    return row;
  }
}
