/**
 * The status page: jobs and workers as two tables, rendered by the server and kept fresh by a small script from /v1.
 * Values reach the page as text nodes (script) or escaped (server) only.
 */
import type { JobView, WorkerView } from '../views.ts';

export interface PageFacts {
  /** Whether a browser may follow links to /v1 as it is, without a token. */
  readonly open: boolean;
  readonly jobs: readonly JobView[];
  readonly workers: readonly WorkerView[];
}

const jobHeads = [
  'Job',
  'State',
  'Rev',
  'Run',
  'Lanes',
  'Records/s',
  'Rows/s',
  'p50 ms',
  'p99 ms',
  'Lag',
  'Rows out',
  'Dead',
  'Reason',
];
const workerHeads = ['Worker', 'State', 'Lanes', 'Threads', 'Memory MB', 'Loop delay ms', 'Heard ms ago', 'Address'];

/** The whole page. */
export function renderPage({ open, jobs, workers }: PageFacts): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Weir</title>
<link rel="stylesheet" href="/page.css">
<script src="/page.js" defer></script>
</head>
<body>
<header><h1>Weir</h1><p id="note" role="status"></p></header>
<main>
<h2>Jobs</h2>
${table('jobs', jobHeads, jobs.map(jobCells))}
<h2>Workers</h2>
${table('workers', workerHeads, workers.map(workerCells))}
</main>
<footer><a href="/metrics">metrics</a>${open ? ' · <a href="/v1/jobs">jobs as JSON</a> · <a href="/v1/workers">workers as JSON</a>' : ''}</footer>
</body>
</html>
`;
}

function table(id: string, heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const head = heads.map((text) => `<th scope="col">${escapeHtml(text)}</th>`).join('');
  const body = rows
    .map((cells) => `<tr>${cells.map((text) => `<td>${escapeHtml(text)}</td>`).join('')}</tr>`)
    .join('\n');
  return `<div class="wide"><table id="${id}"><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div>`;
}

function jobCells(view: JobView): string[] {
  const { row, lanes, counters } = view;
  const figures = [view.recordsPerSecond, view.rowsPerSecond].map((value) => String(Math.round(value)));
  const latencies = [view.latencyMsP50, view.latencyMsP99].map((value) => (value === null ? '' : value.toFixed(1)));
  const reason = row.reason === null ? '' : `${row.reason.code}: ${row.reason.message}`;
  const numbers = [row.revision, row.run, lanes.length].map(String);
  return [
    row.name,
    row.state,
    ...numbers,
    ...figures,
    ...latencies,
    String(view.lag),
    String(counters.rowsOut),
    String(counters.dead),
    reason,
  ];
}

function workerCells(view: WorkerView): string[] {
  const megabytes = Math.round(view.rssBytes / 1024 / 1024);
  const numbers = [
    view.lanes,
    view.threads,
    megabytes,
    Math.round(view.eventLoopDelayMs),
    Math.round(view.heartbeatAgeMs),
  ].map(String);
  return [view.id, view.state, ...numbers, view.httpAddress];
}

/** Text as HTML, also within quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** The same cells as the server makes, from the same JSON that everybody gets. */
export const pageScript = `'use strict';
const note = document.getElementById('note');
const given = new URLSearchParams(location.hash.slice(1)).get('token');
if (given) { sessionStorage.setItem('token', given); history.replaceState(null, '', location.pathname); }
const token = sessionStorage.getItem('token');
const headers = token ? { authorization: 'Bearer ' + token } : {};
const round = (value) => String(Math.round(value));
const ms = (value) => (value === null ? '' : value.toFixed(1));
const jobCells = (view) => [view.row.name, view.row.state, view.row.revision, view.row.run, view.lanes.length,
  round(view.recordsPerSecond), round(view.rowsPerSecond), ms(view.latencyMsP50), ms(view.latencyMsP99), view.lag,
  view.counters.rowsOut, view.counters.dead, view.row.reason ? view.row.reason.code + ': ' + view.row.reason.message : ''];
const workerCells = (view) => [view.id, view.state, view.lanes, view.threads, round(view.rssBytes / 1048576),
  round(view.eventLoopDelayMs), round(view.heartbeatAgeMs), view.httpAddress];
function fill(id, rows) {
  const body = document.querySelector('#' + id + ' tbody');
  body.replaceChildren(...rows.map((cells) => {
    const row = document.createElement('tr');
    row.append(...cells.map((text) => { const cell = document.createElement('td'); cell.textContent = String(text); return cell; }));
    return row;
  }));
}
async function get(path) {
  const answer = await fetch(path, { headers });
  if (answer.status === 401) throw new Error('This master asks for a token: open the page as /#token=…');
  if (!answer.ok) throw new Error('The master answered ' + answer.status);
  return answer.json();
}
async function refresh() {
  try {
    const [jobs, workers] = await Promise.all([get('/v1/jobs'), get('/v1/workers')]);
    fill('jobs', jobs.jobs.map(jobCells));
    fill('workers', workers.workers.map(workerCells));
    note.textContent = '';
  } catch (error) {
    note.textContent = error instanceof TypeError ? 'The master does not answer.' : error.message;
  }
  setTimeout(refresh, document.hidden ? 5000 : 1000);
}
refresh();
`;

export const pageStyle = `:root { color-scheme: light dark; --ink: #1c2024; --soft: #60646c; --line: #d9d9e0; --paper: #fcfcfd; }
@media (prefers-color-scheme: dark) { :root { --ink: #edeef0; --soft: #b0b4ba; --line: #363a3f; --paper: #111113; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 96rem; padding: 1.5rem; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
header { display: flex; align-items: baseline; gap: 1rem; }
h1 { font-size: 1.4rem; margin: 0; }
h2 { font-size: 1rem; margin: 1.5rem 0 0.5rem; }
#note, footer { color: var(--soft); }
footer { margin-top: 2rem; }
a { color: inherit; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 0.35rem 0.75rem 0.35rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 500; }
td:last-child { white-space: normal; overflow-wrap: anywhere; }
`;
