/**
 * Writes docs/openapi.json and docs/rest.md from the table of routes (master/http/routes.ts). `--check` compares
 * instead, and fails when the files are stale.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openApiDocument } from '../master/http/openapi.ts';
import { routeGroups } from '../master/http/docs-page.ts';
import type { RouteSpec } from '../master/http/routes.ts';
import { routes } from '../master/http/routes.ts';

const root = join(import.meta.dirname, '..');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly version: string };

function restPage(): string {
  const all = Object.values(routes) as readonly RouteSpec[];
  const sections = (Object.keys(routeGroups) as RouteSpec['tag'][]).map((tag) => {
    const rows = all.filter((route) => route.tag === tag).map(rowOf);
    return `## ${routeGroups[tag]}\n\n| | | role | answers |\n| --- | --- | --- | --- |\n${rows.join('\n')}\n`;
  });
  return `<!-- Made by scripts/gen-openapi.ts from master/http/routes.ts. -->

# REST

The master answers at \`http://127.0.0.1:7080\` (\`weir master --http-port\`). Any master may be asked: one that does not
lead hands the request on. [openapi.json](openapi.json) describes every route, its parameters and its answers; a running
master serves the same document at \`/v1/openapi.json\`, and this list as a page at \`/docs\`.

\`\`\`sh
curl -X PUT --data-binary @jobs/created-users.yaml http://127.0.0.1:7080/v1/jobs/created-users
curl 'http://127.0.0.1:7080/v1/jobs/created-users/wait?state=running&timeout=30s'
curl -N 'http://127.0.0.1:7080/v1/events?topics=events,progress'
\`\`\`

**Tokens.** On loopback a master without \`WEIR_TOKEN\` asks nobody. Everywhere else each route but the open ones asks for
\`Authorization: Bearer …\`; \`local\` ones only off loopback. Roles say who may, and each may what those before it may: viewer
(jobs, figures, events), operator (also records and rows, and what is done to jobs that are there), submitter-declarative
(job files without code), submitter-code (job files that bring code), admin (tokens). Without a token that is known: 401;
with one whose role does not do: 403 \`FORBIDDEN\`. [SECURITY.md](../SECURITY.md) has the rest.

**Errors** are problem documents (RFC 9457, \`application/problem+json\`) with a \`code\` of [errors.md](errors.md) that stays
the same, and a \`detail\` that says what to do. A refused job file (422) has \`problems\`: path, line, column, message, hint.
\`Retry-After\` marks what may be sent again without harm.

**Changing jobs safely.** \`PUT /v1/jobs/{name}\` creates or changes and may be repeated. Its answer has \`revision\` (also as
\`ETag\`), \`changed\` and \`stateCompatible\`; with \`If-Match: "3"\` it is refused with 412 unless the job is at revision 3,
\`"0"\` = there must be none. A change that the job's state does not survive is 409 \`STATE_INCOMPATIBLE\` and names the reason.
\`PATCH\` takes a merge patch (RFC 7396) of the job file: what it does not name stays as it was written, comments too.

\`\`\`sh
curl -X PATCH -H 'If-Match: "3"' -H 'Content-Type: application/merge-patch+json' \\
  -d '{"trigger": "5s", "labels": {"env": "test"}}' http://127.0.0.1:7080/v1/jobs/created-users
\`\`\`

**Waiting.** \`GET …/wait?state=\` answers 404 until the job is so, which is what Airflow's HttpSensor and shell loops want;
\`timeout=\` makes it wait. Actions answer 202 at once; \`restart\` gives an operation that \`/v1/operations/{id}?wait=\` follows.

**Progress** has the field names of Spark's StreamingQueryProgress. \`durationMs\` has \`triggerExecution\`, \`walCommit\`,
\`addBatch\` (exchange, state and sinks), \`map\` (reading and mapping, which Spark counts as addBatch) and \`commitOffsets\`. A
stateless job has no batches; what it did between two looks of the master, about half a second, counts as one. \`partitions\`
is Weir's own: what the batch took from each partition.

**Events.** \`/v1/events\` is one stream of server-sent events. Topics: \`events\` (sentences about jobs, workers, partitions),
\`progress\` or \`progress:NAME\`, \`jobs\` (summaries: all at first, then those that changed), \`job:NAME\`, \`workers\`, \`logs\`
(lines of master and workers as they come; \`/v1/logs\` has the last ones). Frames of \`events\` have an id; \`Last-Event-ID\` goes on behind it. They are kept by the master that leads.

**As a Spark master.** \`/v1/submissions\` speaks what Spark's standalone master does, so \`spark-submit --status\`, \`--kill\` and
Airflow's Spark operator work. A submission id stands for a job; a job's name is taken too. Driver states: starting =
SUBMITTED, running and stopping = RUNNING, stopped = KILLED, finished = FINISHED, failed = FAILED.

${sections.join('\n')}`;
}

function rowOf({ method, path, summary, role, answers, problems = [] }: RouteSpec): string {
  const statuses = [...Object.keys(answers), ...problems.map(String)].filter((one, at, all) => all.indexOf(one) === at);
  return `| \`${method} ${path}\` | ${summary.replaceAll('|', '\\|')} | ${role} | ${statuses.toSorted().join(', ')} |`;
}

const files = new Map([
  [join(root, 'docs', 'openapi.json'), `${JSON.stringify(openApiDocument(version), null, 2)}\n`],
  [join(root, 'docs', 'rest.md'), restPage()],
]);
for (const [path, text] of files) {
  if (!process.argv.includes('--check')) writeFileSync(path, text);
  else if (current(path) !== text) {
    console.error(`${path} is not what master/http/routes.ts gives; run: node scripts/gen-openapi.ts`);
    process.exitCode = 1;
  }
}

function current(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // A missing file is a stale one.
    return '';
  }
}
