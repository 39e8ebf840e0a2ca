/** Types, and columns as CREATE TABLE lists them. */
import type { Identifier, Span } from '../../../core/ast.ts';
import type { DataType, Field, Schema } from '../../../core/types.ts';
import { didYouMean, SqlSyntaxError } from '../problems.ts';
import type { TokenReader } from './token-reader.ts';

/** Types of one word, in capitals. */
const simpleTypes = new Map<string, DataType>([
  ['BOOLEAN', { kind: 'boolean' }],
  ['TINYINT', { kind: 'tinyint' }],
  ['BYTE', { kind: 'tinyint' }],
  ['SMALLINT', { kind: 'smallint' }],
  ['SHORT', { kind: 'smallint' }],
  ['INT', { kind: 'int' }],
  ['INTEGER', { kind: 'int' }],
  ['BIGINT', { kind: 'bigint' }],
  ['LONG', { kind: 'bigint' }],
  ['FLOAT', { kind: 'float' }],
  ['REAL', { kind: 'float' }],
  ['DOUBLE', { kind: 'double' }],
  ['STRING', { kind: 'string' }],
  ['VARCHAR', { kind: 'string' }],
  ['CHAR', { kind: 'string' }],
  ['CHARACTER', { kind: 'string' }],
  ['BINARY', { kind: 'binary' }],
  ['DATE', { kind: 'date' }],
  ['TIMESTAMP', { kind: 'timestamp' }],
  ['TIMESTAMP_LTZ', { kind: 'timestamp' }],
]);

/** Types of other systems, and what to write instead. */
const refusedTypes = new Map([
  ['TEXT', 'text is STRING here'],
  ['TIMESTAMP_NTZ', 'times without a zone are not supported yet: use TIMESTAMP, or STRING'],
  ['VARIANT', 'use STRING and get_json_object'],
  ['UUID', 'a UUID is a STRING here'],
  ['JSON', 'use STRING and get_json_object'],
  ['NUMBER', 'use DECIMAL(p, s), DOUBLE or BIGINT'],
  ['BOOL', 'use BOOLEAN'],
  ['DATETIME', 'use TIMESTAMP'],
  ['BLOB', 'use BINARY'],
  ['BYTES', 'use BINARY'],
]);

/** `id STRING NOT NULL, tags ARRAY<STRING>`. */
export function readColumns(p: TokenReader): Schema {
  if (p.peek().kind === 'end') throw p.unexpected('expected a column, as in: id STRING');
  const seen = new Map<string, Identifier>();
  return p.list(() => {
    const name = p.anyIdentifier('a column name');
    if (seen.has(name.text.toLowerCase())) throw new SqlSyntaxError(`the column ${name.text} is there twice`, name);
    seen.set(name.text.toLowerCase(), name);
    p.skip(':');
    return fieldRest(p, name);
  });
}

/** A type: `ARRAY<STRUCT<a: INT>>`. */
export function readType(p: TokenReader): DataType {
  return p.nested(() => {
    const token = p.peek();
    if (token.kind !== 'word') throw p.unexpected('expected a type');
    p.next();
    const simple = simpleTypes.get(token.upper);
    if (simple !== undefined) {
      if (token.upper === 'VARCHAR' || token.upper === 'CHAR' || token.upper === 'CHARACTER') lengthOfText(p);
      return simple;
    }
    switch (token.upper) {
      case 'DECIMAL':
      case 'DEC':
      case 'NUMERIC':
        return decimal(p, token);
      case 'ARRAY': {
        p.expect('<', 'behind ARRAY');
        const element = readType(p);
        closeType(p, 'ARRAY');
        return { kind: 'array', element, containsNull: true };
      }
      case 'MAP': {
        p.expect('<', 'behind MAP');
        const key = readType(p);
        p.expect(',', 'between key and value of MAP');
        const value = readType(p);
        closeType(p, 'MAP');
        return { kind: 'map', key, value, valueContainsNull: true };
      }
      case 'STRUCT':
        return struct(p);
      default: {
        const hint =
          refusedTypes.get(token.upper) ??
          didYouMean(token.text, [...simpleTypes.keys(), 'DECIMAL', 'ARRAY', 'MAP', 'STRUCT']);
        throw new SqlSyntaxError(`there is no type ${token.text}`, token, hint);
      }
    }
  });
}

function fieldRest(p: TokenReader, name: Identifier): Field {
  const type = readType(p);
  let nullable = true;
  for (;;) {
    if (p.is('NOT') && p.is('NULL', 1)) {
      p.next();
      p.next();
      nullable = false;
    } else if (p.is('COMMENT') && p.peek(1).kind === 'string') {
      p.next();
      p.next();
    } else if (!p.skip('NULL')) {
      return { name: name.text, type, nullable };
    }
  }
}

function closeType(p: TokenReader, name: string): void {
  p.expect('>', `at the end of ${name}`);
}

function lengthOfText(p: TokenReader): void {
  p.expect('(', 'before the length');
  const token = p.next();
  if (token.kind !== 'number') throw new SqlSyntaxError('expected a length', token);
  p.expect(')', 'behind the length');
}

function decimal(p: TokenReader, token: Span): DataType {
  if (!p.skip('(')) return { kind: 'decimal', precision: 10, scale: 0 };
  const precision = wholeNumber(p);
  const scale = p.skip(',') ? wholeNumber(p) : 0;
  p.expect(')', 'behind precision and scale');
  if (precision < 1 || precision > 38) throw new SqlSyntaxError('a DECIMAL has 1 to 38 digits', p.span(token));
  if (scale > precision)
    throw new SqlSyntaxError('a DECIMAL cannot have more digits behind the point than digits', p.span(token));
  return { kind: 'decimal', precision, scale };
}

function wholeNumber(p: TokenReader): number {
  const token = p.next();
  if (token.kind !== 'number' || !/^\d+$/.test(token.text)) throw new SqlSyntaxError('expected a whole number', token);
  return Number(token.text);
}

function struct(p: TokenReader): DataType {
  // STRUCT<> lexes as one symbol.
  if (p.skip('<>')) return { kind: 'struct', fields: [] };
  p.expect('<', 'behind STRUCT');
  const fields = p.is('>')
    ? []
    : p.list(() => {
        const name = p.anyIdentifier('a field name');
        p.skip(':');
        return fieldRest(p, name);
      });
  closeType(p, 'STRUCT');
  return { kind: 'struct', fields };
}
