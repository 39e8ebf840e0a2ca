/**
 * Records of a registry's schema as columns, beside the same records through JSON and through another decoder that makes
 * objects: CPU seconds per million records. `node engine/formats/avro.bench.ts`.
 */
import avsc from 'avsc';
import type { Schema as AvscSchema } from 'avsc';
import { ByteBuffer } from '../byte-buffer.ts';
import { JsonScanner } from '../scan/json-scanner.ts';
import { timeZoneOf } from '../scan/time-zone.ts';
import { AvroDecoder } from './avro-decoder.ts';
import { avroColumns, parseAvro } from './avro-schema.ts';
import type { ValueField } from './value-decoder.ts';

const ROWS = 20_000;
const ROUNDS = 15;

const schema = {
  type: 'record',
  name: 'User',
  fields: [
    ...['id', 'first_name', 'last_name', 'gender', 'address', 'email', 'username'].map((name) => ({
      name,
      type: 'string',
    })),
    { name: 'post_code', type: ['null', 'string'], default: null },
    { name: 'age', type: 'int' },
    { name: 'registered', type: 'long' },
    { name: 'score', type: 'double' },
  ],
};

const type = avsc.Type.forSchema(schema as unknown as AvscSchema);
const users = Array.from({ length: ROWS }, (_, index) => ({
  id: `3b241101-e2bb-4255-8caf-${String(index).padStart(12, '0')}`,
  first_name: `first${index % 97}`,
  last_name: `last${index % 89}`,
  gender: index % 2 === 0 ? 'male' : 'female',
  address: `${index % 500} Some Street, Some City, Some State, Some Country`,
  email: `user${index}@example.com`,
  username: `user${index}`,
  post_code: index % 5 === 0 ? null : String(10_000 + (index % 5000)),
  age: index % 90,
  registered: 1_700_000_000_000 + index,
  score: index / 7,
}));

const text = { schema: JSON.stringify(schema), references: [] };
const fields: ValueField[] = avroColumns(parseAvro(text)).map(({ name, type: dataType }) => {
  return { name, path: name, type: dataType, required: false };
});

function lay(values: readonly Uint8Array[]): { arena: ByteBuffer; starts: Int32Array; ends: Int32Array } {
  const arena = new ByteBuffer(1 << 22);
  const starts = new Int32Array(values.length);
  const ends = new Int32Array(values.length);
  for (const [index, value] of values.entries()) {
    starts[index] = arena.append(value);
    ends[index] = arena.length;
  }
  return { arena, starts, ends };
}

function measure(name: string, run: () => number): void {
  for (let round = 0; round < 3; round++) run();
  const before = process.cpuUsage();
  let checks = 0;
  for (let round = 0; round < ROUNDS; round++) checks += run();
  const { user } = process.cpuUsage(before);
  console.log(`${name.padEnd(24)} ${(user / (ROWS * ROUNDS)).toFixed(3)} CPU s per million records (${checks})`);
}

const framed = lay(users.map((user) => Buffer.concat([Buffer.from([0, 0, 0, 0, 1]), type.toBuffer(user)])));
const plain = users.map((user) => type.toBuffer(user));
const json = lay(users.map((user) => Buffer.from(JSON.stringify(user))));

const decoder = new AvroDecoder(
  { kind: 'avro', framing: 'confluent', registry: '', schema: text },
  fields,
  64,
  framed.arena,
);
decoder.learn([{ id: 1, type: 'AVRO', ...text }]);
const few = fields.filter(({ name }) => name === 'id' || name === 'post_code' || name === 'age');
const narrow = new AvroDecoder(
  { kind: 'avro', framing: 'confluent', registry: '', schema: text },
  few,
  64,
  framed.arena,
);
narrow.learn([{ id: 1, type: 'AVRO', ...text }]);
const timeZone = timeZoneOf('UTC');
if (timeZone === undefined) throw new Error('no UTC');
const scanner = new JsonScanner(fields, { depthMax: 64, timeZone }, json.arena);

function scanAll(
  scan: { begin(rows: number): void; scan(start: number, end: number, row: number): number },
  at: typeof json,
): number {
  scan.begin(ROWS);
  let good = 0;
  for (let row = 0; row < ROWS; row++) if (scan.scan(at.starts[row]!, at.ends[row]!, row) < 0) good++;
  return good;
}

measure('avro, 11 columns', () => scanAll(decoder, framed));
measure('avro, 3 of 11', () => scanAll(narrow, framed));
measure('json, 11 columns', () => scanAll(scanner, json));
measure('avsc, objects', () => plain.reduce((sum, bytes) => sum + (type.fromBuffer(bytes) === null ? 0 : 1), 0));
