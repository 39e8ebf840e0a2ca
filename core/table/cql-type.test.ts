import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isWeirError } from '../errors.ts';
import { parseCqlType } from './cql-type.ts';
import { formatCqlType, type CqlType } from './schema.ts';

const address: CqlType = {
  kind: 'udt',
  keyspace: 'shop',
  name: 'address',
  fields: [{ name: 'street', type: { kind: 'text' } }],
  frozen: false,
};
const resolve = (keyspace: string | undefined, name: string) =>
  name === 'address' && (keyspace ?? 'shop') === 'shop' ? address : undefined;

test('scalars, any case, and varchar as text', () => {
  assert.deepEqual(parseCqlType('bigint'), { kind: 'bigint' });
  assert.deepEqual(parseCqlType(' TimeStamp '), { kind: 'timestamp' });
  assert.deepEqual(parseCqlType('varchar'), { kind: 'text' });
});

test('nested and frozen types', () => {
  assert.deepEqual(parseCqlType('frozen<map<text, frozen<list<int>>>>'), {
    kind: 'map',
    key: { kind: 'text' },
    value: { kind: 'list', element: { kind: 'int' }, frozen: true },
    frozen: true,
  });
  assert.deepEqual(parseCqlType('tuple<int,text>'), { kind: 'tuple', elements: [{ kind: 'int' }, { kind: 'text' }] });
});

test('user-defined types by name, with and without keyspace and quotes', () => {
  for (const text of ['address', 'shop.address', '"address"', 'shop."address"']) {
    assert.deepEqual(parseCqlType(text, resolve), address, text);
  }
  assert.deepEqual(parseCqlType('frozen<address>', resolve), { ...address, frozen: true });
  assert.throws(
    () => parseCqlType('adress', resolve),
    (error) => isWeirError(error, 'SQL_SEMANTIC') && /"adress"/.test(error.message),
  );
});

test('types of the server that Weir does not handle stay as text', () => {
  for (const text of ['duration', 'vector<float, 3>', "'org.apache.cassandra.db.marshal.DynamicCompositeType'"]) {
    assert.deepEqual(parseCqlType(text), { kind: 'custom', text });
  }
});

test('what is not a type is refused with the place', () => {
  for (const text of [
    '',
    'list',
    'list<',
    'list<int',
    'list<int, int>',
    'map<int>',
    'int>',
    'int int',
    'list<>',
    '1',
    "'x",
  ]) {
    assert.throws(
      () => parseCqlType(text),
      (error) => isWeirError(error, 'SQL_SYNTAX') && /character/.test(error.message),
      text,
    );
  }
  assert.throws(
    () => parseCqlType('list<'.repeat(100000)),
    (error) => isWeirError(error, 'SQL_SYNTAX'),
  );
});

const types = fc.letrec<{ type: CqlType }>((tie) => ({
  type: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<CqlType>(
      { kind: 'int' },
      { kind: 'text' },
      { kind: 'timeuuid' },
      { kind: 'decimal' },
      { kind: 'custom', text: 'duration' },
    ),
    fc.record(
      { kind: fc.constantFrom('list' as const, 'set' as const), element: tie('type'), frozen: fc.boolean() },
      { noNullPrototype: true },
    ),
    fc.record(
      { kind: fc.constant('map' as const), key: tie('type'), value: tie('type'), frozen: fc.boolean() },
      { noNullPrototype: true },
    ),
    fc.record(
      { kind: fc.constant('tuple' as const), elements: fc.array(tie('type'), { minLength: 1, maxLength: 3 }) },
      { noNullPrototype: true },
    ),
  ),
})).type;

test('parsing what formatCqlType prints gives the same type', () => {
  fc.assert(fc.property(types, (type) => assert.deepEqual(parseCqlType(formatCqlType(type)), type)));
});
