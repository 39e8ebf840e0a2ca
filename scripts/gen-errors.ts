/**
 * Makes docs/errors.md from the table in core/errors.ts. With `--check` nothing is written and a stale file fails.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ErrorCode, ErrorDomain, RetryHint } from '../core/errors.ts';
import { deadLetterReasons, errorTable } from '../core/errors.ts';

const actors: Record<ErrorDomain, string> = {
  user: 'you',
  external: 'whoever runs the service',
  cluster: 'the cluster; you, if it lasts',
  internal: 'us: report it',
};

const retries: Record<RetryHint, string> = { no: 'no', backoff: 'yes, with backoff' };

function table(codes: readonly ErrorCode[]): string {
  const rows = codes.map((code) => {
    const { domain, retry, text } = errorTable[code];
    return `| \`${code}\` | ${actors[domain]} | ${retries[retry]} | ${text} |`;
  });
  return ['| code | who acts | retried | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

function generate(): string {
  const reasons = new Set<ErrorCode>(deadLetterReasons);
  const codes = Object.keys(errorTable) as ErrorCode[];
  return `<!-- Made from core/errors.ts by \`node scripts/gen-errors.ts\`. Do not edit. -->
# Errors

Everything that can go wrong and is not a bug has a code. The codes are part of the interface: they stand in REST
answers (\`code\`), in job views (\`weir describe job NAME\`), in logs, in metrics labels and in dead letters. The message
beside a code says what it was about and what to do.

"Who acts" is who has to change something: you (the job, the data, a setting), whoever runs the service that does not
answer (Kafka, Cassandra, a disk), or the cluster, which sorts most of it out by itself: a lane that is fenced goes on
where its newer owner is. "Retried" tells whether Weir tries the same again without being asked. A job that meets an
error of yours that is not retried stops with the state \`failed\` and says why.

${table(codes.filter((code) => !reasons.has(code)))}

## Dead letters

Why a record was not processed: \`code\` of a row of \`weir.dead_letters\` (and of its copy, with
\`onBadRecord: { deadLetter: { topic } }\`) and \`reason\` of the metric \`weir_dead_letters_total\`. The job goes on unless
\`onBadRecord\` is \`fail\`.

${table(deadLetterReasons)}
`;
}

const path = join(import.meta.dirname, '..', 'docs', 'errors.md');
const text = generate();
if (!process.argv.includes('--check')) {
  writeFileSync(path, text);
} else if (currentText() !== text) {
  console.error('docs/errors.md is not what core/errors.ts gives; run: node scripts/gen-errors.ts');
  process.exitCode = 1;
}

function currentText(): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // A missing file is a stale one.
    return '';
  }
}
