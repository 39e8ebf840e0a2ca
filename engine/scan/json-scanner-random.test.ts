import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DataType } from '../../core/types.ts';
import { type ScanField } from './json-scanner.ts';
import {
  array,
  decoder,
  encoder,
  field,
  makeScan,
  map,
  scalar,
  string,
  struct,
  type Scanned,
} from './json-scans.fixture.ts';

/** Deepest nesting of brackets outside strings in as much of the text as was read as JSON. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (inString) {
      if (char === '\\') at++;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === '{' || char === '[') deepest = Math.max(deepest, ++depth);
    else if (char === '}' || char === ']') depth--;
  }
  return deepest;
}

const textFields = ['a', 'b', 'name', '__proto__', 'key\u00e9', 'with "quotes"\\'].map((name) => field(name, string));

/**
 * Some versions of V8 confuse a key that begins with a backslash with a later one that begins with an escape
 * (`{"\ud800":1,"\\":1}` and then `{"\ud800":1,"\u0000":1}`): JSON.parse must not see such keys here.
 */
const confusesV8 = (text: string): boolean => /"\\\\[^"]*"\s*:/.test(text);

/** What a STRING column must hold by JSON.parse: the string itself, or the text of another value (compared parsed). */
function checkAgainstJsonParse(document: Uint8Array, result: Scanned): void {
  let parsed: unknown;
  let bad = false;
  try {
    parsed = JSON.parse(decoder.decode(document));
  } catch {
    bad = true;
  }
  if (!bad && (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))) bad = true;
  if (result.reason === 'RECORD_TOO_DEEP') {
    assert.ok(depthOf(decoder.decode(document)) > 64);
    return;
  }
  if (result.reason === 'RECORD_INVALID_UTF8') {
    assert.ok(decoder.decode(document).includes('\ufffd'));
    assert.equal(bad, false);
    return;
  }
  assert.equal(result.reason, bad ? 'RECORD_NOT_JSON' : null);
  if (bad) return;
  const entries = new Map(Object.entries(parsed as object));
  textFields.forEach(({ path }, index) => {
    const expected = entries.get(path) ?? null;
    const actual = result.values[index];
    if (expected === null) assert.equal(actual, null);
    else if (typeof expected === 'string') assert.equal(actual, expected.toWellFormed());
    else assert.deepEqual(JSON.parse(String(actual)), expected);
  });
}

/** See {@link confusesV8}. */
const plainKey = (key: string): boolean => !key.includes('\\');

const anyKey = fc.oneof(
  fc.constantFrom(...textFields.map(({ path }) => path)),
  fc.constantFrom('other', 'a\u0000', 'A', '', 'an unknown key that is longer than the others', 'constructor'),
  fc.string({ unit: 'grapheme', maxLength: 6 }).filter(plainKey),
);
const anyString = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 10 }),
  fc.constantFrom('\ud800', 'x\udc00y', '\u{1f600}', '\\', '"', '/', '\b\f\n\r\t', '\u007f\u0080\u07ff\u0800\uffff'),
);

interface Node {
  readonly text: string;
}

/** JSON text of a string in one of the many ways it can be written. */
function writeString(value: string, style: number): string {
  if (style % 3 === 0) return JSON.stringify(value);
  let text = '"';
  for (let index = 0; index < value.length; index++) {
    const unit = value.charCodeAt(index);
    if (
      (unit * 7 + style + index) % 4 === 0 ||
      unit < 0x20 ||
      unit === 0x22 ||
      unit === 0x5c ||
      (unit >= 0xd800 && unit <= 0xdfff)
    ) {
      const hex = unit.toString(16).padStart(4, '0');
      text += `\\u${style % 2 === 0 ? hex : hex.toUpperCase()}`;
    } else if (unit === 0x2f && style % 2 === 0) text += '\\/';
    else text += value[index];
  }
  return `${text}"`;
}

const blank = fc.constantFrom('', '', '', '', ' ', '\n', '\t\r\n  ');
const numberText = fc.oneof(
  fc.integer().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
  fc.constantFrom('0', '-0', '1e5', '1E+5', '1.5e-7', '0.10', '9007199254740993', '-12345678901234567890', '1e400'),
  fc.constantFrom('01', '+1', '.5', '1.', '1e', '-', '0x10', 'NaN', '1_000'),
);
const documentNode = fc.letrec<{ value: Node; object: Node }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('true', 'false', 'null', 'nul', 'True').map((text) => ({ text })),
    numberText.map((text) => ({ text })),
    fc.tuple(anyString, fc.nat(5)).map(([value, style]) => ({ text: writeString(value, style) })),
    fc.tuple(fc.array(tie('value'), { maxLength: 4 }), blank).map(([items, gap]) => ({
      text: `[${gap}${items.map((item) => item.text).join(`${gap},${gap}`)}${gap}]`,
    })),
    tie('object'),
  ),
  object: fc
    .tuple(fc.array(fc.tuple(anyKey, tie('value'), fc.nat(5)), { maxLength: 7 }), blank)
    .map(([entries, gap]) => ({
      text: `{${gap}${entries.map(([key, value, style]) => `${writeString(key, style)}${gap}:${gap}${value.text}`).join(`${gap},${gap}`)}${gap}}`,
    })),
})).object;

test('documents of any shape are read as JSON.parse reads them', () => {
  const scan = makeScan(textFields);
  fc.assert(
    fc.property(fc.array(documentNode, { minLength: 1, maxLength: 4 }), (nodes) => {
      fc.pre(!nodes.some((node) => confusesV8(node.text)));
      const documents = nodes.map((node) => encoder.encode(node.text));
      scan(...documents).forEach((result, index) =>
        checkAgainstJsonParse(documents[index] ?? new Uint8Array(), result),
      );
    }),
    { numRuns: 3000 },
  );
});

test('damaged documents are refused exactly when JSON.parse refuses them, and harm no neighbour', () => {
  const scan = makeScan(textFields);
  const damage = fc.record({
    at: fc.nat(),
    kind: fc.nat(3),
    byte: fc.oneof(fc.nat(255), fc.constantFrom(...encoder.encode('{}[]",:\\u0e-. \n'))),
  });
  const good = encoder.encode('{"a":"left alone","b":null}');
  fc.assert(
    fc.property(documentNode, fc.array(damage, { minLength: 1, maxLength: 3 }), (node, damages) => {
      let document = encoder.encode(node.text);
      for (const { at, kind, byte } of damages) {
        const place = at % (document.byteLength + 1);
        const [before, after] = [document.subarray(0, place), document.subarray(place)];
        if (kind === 0) document = Uint8Array.from(before);
        else if (kind === 1) document = Uint8Array.from([...before, byte, ...after]);
        else if (kind === 2) document = Uint8Array.from([...before, ...after.subarray(1)]);
        else document = Uint8Array.from([...before, byte, ...after.subarray(1)]);
      }
      fc.pre(!confusesV8(decoder.decode(document)));
      const [first, second, third] = scan(good, document, good);
      assert.ok(first && second && third);
      checkAgainstJsonParse(document, second);
      for (const neighbour of [first, third])
        assert.deepEqual([neighbour.reason, neighbour.values[0]], [null, 'left alone']);
    }),
    { numRuns: 6000 },
  );
});

test('typed values are those of JSON.parse', () => {
  const shape: ScanField[] = [
    field('i', scalar('int')),
    field('d', scalar('double')),
    field('b', scalar('boolean')),
    field('s', string),
    field('tags', array(string)),
    field('grid', array(array(scalar('int')))),
    field(
      'home',
      struct({ street: string, number: scalar('int'), geo: struct({ lat: scalar('double'), names: array(string) }) }),
    ),
    field('people', array(struct({ name: string, age: scalar('int') }))),
    field('counts', map(scalar('int'))),
  ];
  const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arbitrary, { freq: 5 });
  const jsonValue = fc.jsonValue().filter((value) => !JSON.stringify(value).includes('\\\\'));
  const geo = fc.record(
    {
      lat: optional(fc.double({ noNaN: true, noDefaultInfinity: true })),
      names: optional(fc.array(optional(anyString))),
    },
    { requiredKeys: [] },
  );
  const documents = fc.record(
    {
      i: optional(fc.integer()),
      d: optional(fc.double({ noNaN: true, noDefaultInfinity: true })),
      b: optional(fc.boolean()),
      s: optional(anyString),
      tags: optional(fc.array(optional(anyString))),
      grid: optional(fc.array(optional(fc.array(optional(fc.integer()))))),
      home: optional(
        fc.record(
          { street: optional(anyString), number: optional(fc.integer()), geo: optional(geo), more: jsonValue },
          { requiredKeys: [] },
        ),
      ),
      people: optional(
        fc.array(
          optional(
            fc.record({ name: optional(anyString), age: optional(fc.integer()), '': jsonValue }, { requiredKeys: [] }),
          ),
        ),
      ),
      counts: optional(fc.dictionary(anyString.filter(plainKey), optional(fc.integer()))),
      extra: jsonValue,
    },
    { requiredKeys: [] },
  );
  const scan = makeScan(shape);
  const plain = (value: unknown): unknown =>
    typeof value === 'string' ? value.toWellFormed() : typeof value === 'boolean' ? Number(value) : value;
  const expected = (type: DataType, value: unknown): unknown => {
    if (value === null || value === undefined) return null;
    if (type.kind === 'array') return (value as unknown[]).map((item) => expected(type.element, item));
    if (type.kind === 'map')
      return new Map(Object.entries(value).map(([key, item]) => [key.toWellFormed(), expected(type.value, item)]));
    if (type.kind === 'struct')
      return type.fields.map((child) => expected(child.type, (value as Record<string, unknown>)[child.name]));
    return plain(value);
  };
  fc.assert(
    fc.property(fc.array(documents, { minLength: 1, maxLength: 5 }), (values) => {
      const results = scan(...values.map((value) => encoder.encode(JSON.stringify(value))));
      results.forEach((result, row) => {
        assert.equal(result.reason, null);
        const parsed = JSON.parse(JSON.stringify(values[row])) as Record<string, unknown>;
        assert.deepEqual(
          result.values,
          shape.map(({ name, type }) => expected(type, parsed[name])),
        );
      });
    }),
    { numRuns: 1000 },
  );
});

test('any double written as JSON comes back exactly', () => {
  const scan = makeScan([field('x', scalar('double'))]);
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.nat(2), (value, style) => {
      const json =
        style === 0 ? JSON.stringify(value) : style === 1 ? value.toExponential() : String(value.toPrecision(17));
      const [result] = scan(encoder.encode(`{"x":${json}}`));
      assert.ok(Object.is(result?.values[0], JSON.parse(json)), json);
    }),
    { numRuns: 2000 },
  );
});
