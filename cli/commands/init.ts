/** `weir init [template]`: a folder with a job, its test and rows to try it on. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { WeirError } from '../../core/errors.ts';
import { print, tell } from '../output.ts';

export interface InitOptions {
  readonly dir: string;
}

/** In a folder that no command takes for one of jobs. */
const schemaFile = '.schema/job.v1.json';
const schemaLine = `# yaml-language-server: $schema=./${schemaFile}\n`;

const filterJob = `${schemaLine}apiVersion: weir/v1
kind: Job
name: adults
sources:
  users:
    connector: kafka
    topic: users
    startingOffsets: earliest
    schema: id STRING NOT NULL, name STRING, age INT
query: |
  SELECT id, upper(name) AS name, age
  FROM users
  WHERE age >= 18
sinks:
  - { connector: cassandra, keyspace: hello, table: adults, primaryKey: [id], create: true }
`;

const filterTest = `apiVersion: weir/v1
kind: JobTest
tests:
  - name: names are capitals, children are left out
    steps:
      - input:
          users:
            - { id: u1, name: Ada, age: 36 }
            - { id: u2, name: Tim, age: 9 }
        expect:
          - { id: u1, name: ADA, age: 36 }
`;

const windowJob = `${schemaLine}apiVersion: weir/v1
kind: Job
name: visits
sources:
  visits:
    connector: kafka
    topic: visits
    startingOffsets: earliest
    schema: page STRING NOT NULL, at TIMESTAMP
    watermark: { column: at, delay: 10 seconds }
query: |
  SELECT window.start AS minute, page, count(*) AS visits
  FROM visits
  GROUP BY window(at, '1 minute'), page
sinks:
  - { connector: cassandra, keyspace: hello, table: visits, primaryKey: [[page], minute], create: true }
outputMode: update
`;

const windowTest = `apiVersion: weir/v1
kind: JobTest
tests:
  - name: visits are counted by minute
    steps:
      - input:
          visits:
            - { page: /a, at: '2024-05-01T10:00:05Z' }
            - { page: /a, at: '2024-05-01T10:00:55Z' }
        expect:
          - { minute: '2024-05-01T10:00:00Z', page: /a, visits: 2 }
`;

interface Template {
  readonly name: string;
  readonly job: string;
  readonly test: string;
  readonly rows: string;
}

const templates = new Map<string, Template>([
  [
    'filter',
    {
      name: 'adults',
      job: filterJob,
      test: filterTest,
      rows: '{"id":"u1","name":"Ada","age":36}\n{"id":"u2","name":"Tim","age":9}\n',
    },
  ],
  [
    'window',
    {
      name: 'visits',
      job: windowJob,
      test: windowTest,
      rows: '{"page":"/a","at":"2024-05-01T10:00:05Z"}\n{"page":"/a","at":"2024-05-01T10:00:55Z"}\n',
    },
  ],
]);

/** Throws: USAGE, CONFLICT when a file is there already. */
export async function init(name: string, { dir }: InitOptions): Promise<void> {
  const template = templates.get(name);
  if (template === undefined)
    throw new WeirError(
      'USAGE',
      `There is no template ${name}; there are ${[...templates.keys()].join(', ')} and connector.`,
    );
  const { jobJsonSchema } = await import('../../core/job/json-schema.ts');
  const files = new Map([
    [`${template.name}.yaml`, template.job],
    [`${template.name}.test.yaml`, template.test],
    [`${template.name}.rows.ndjson`, template.rows],
    [schemaFile, `${JSON.stringify(jobJsonSchema(), null, 2)}\n`],
  ]);
  const there = [...files.keys()].find((file) => existsSync(join(dir, file)));
  if (there !== undefined && there !== schemaFile)
    throw new WeirError('CONFLICT', `${join(dir, there)} is there already; choose another folder with --dir.`);
  mkdirSync(join(dir, dirname(schemaFile)), { recursive: true });
  for (const [file, text] of files) {
    writeFileSync(join(dir, file), text);
    print(join(dir, file));
  }
  const job = join(dir, `${template.name}.yaml`);
  tell(
    `\nNext:\n  weir eval --job ${job} --input ${join(dir, `${template.name}.rows.ndjson`)}\n  weir test ${dir}\n  weir submit ${job}`,
  );
}
