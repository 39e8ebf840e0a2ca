import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isWeirError } from '../../core/errors.ts';
import { placeOfField } from './proto-places.ts';
import { parseProto } from './proto-schema.ts';

function mistake(schema: string, references: readonly { name: string; schema: string }[] = []): string {
  try {
    parseProto({ schema, references });
  } catch (error) {
    if (isWeirError(error, 'SCHEMA_INVALID')) return error.message.replace('The .proto cannot be read: ', '');
    throw error;
  }
  return '';
}

const message = (...lines: readonly string[]): string => `syntax = "proto3";\nmessage A {\n  ${lines.join('\n  ')}\n}`;

test('a mistake is at its line and column', () => {
  assert.equal(mistake(message('int32 a = 1;', 'string b 2;')), "line 4, column 12: illegal token '2', '=' expected.");
  assert.equal(mistake(message('required int32 a = 1;')), "line 3, column 3: illegal token 'required'.");
  assert.equal(mistake(message('map<float, int32> m = 1;')), "line 3, column 7: illegal type 'float'.");
  assert.equal(mistake('syntax = "proto3"\nmessage A {}'), "line 2, column 1: illegal token 'message', ';' expected.");
  assert.equal(mistake('hello'), "line 1, column 1: illegal token 'hello'.");
});

test('of what is there twice, the second one; comments do not count', () => {
  const twice = ['int32 a = 1; // = 2', 'int32 b = 2;', '/* b = 2 */ string c = 2;'];
  assert.equal(mistake(message(...twice)), 'line 5, column 26: duplicate id 2 in Type A.');
  assert.equal(mistake(message('int32 a = 1;', 'int32 a = 2;')), "line 4, column 9: duplicate name 'a' in Type A.");
  const enums = 'syntax = "proto3";\nmessage X { int32 B = 1; }\nenum E { A = 0; B = 1;\n  B = 2; }';
  assert.equal(mistake(enums), "line 4, column 3: duplicate name 'B' in Enum E.");
  assert.equal(mistake('message A {}\nmessage A {}'), "line 2, column 9: duplicate name 'A' in Root.");
});

test('types and files that are not there are shown where they are asked for', () => {
  assert.equal(mistake(message('Foo f = 1;')), "line 3, column 3: no such Type or Enum 'Foo' in Type .A.");
  assert.match(mistake('syntax = "proto3";\nimport "x.proto";'), /^line 2, column 1: it imports x\.proto/);
});

test('a mistake in an imported text names it', () => {
  const references = [{ name: 'tag.proto', schema: 'syntax = "proto3";\nenum Tag { NONE = 0 }' }];
  assert.match(
    mistake('import "tag.proto";\nmessage A {}', references),
    /^tag\.proto, line 2, column \d+: illegal token/,
  );
});

test('a field is found by its name and number', () => {
  const text = message('int32 a = 1; // b = 2', 'string b', '  = 2;');
  assert.equal(placeOfField(text, { name: 'b', number: 2 }), 'line 4, column 10');
  assert.equal(placeOfField(text, { name: 'b', number: 3 }), undefined);
});
