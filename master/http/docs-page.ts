/** `/docs`: the routes of REST as one page without a script, made from their table. */
import type { RouteSpec } from './routes.ts';
import { pathParameters, routes } from './routes.ts';

/** Heads of the groups of routes, in the order in which they are shown; docs/rest.md has the same. */
export const routeGroups: Readonly<Record<RouteSpec['tag'], string>> = {
  jobs: 'Jobs',
  actions: 'Actions',
  state: 'Offsets, savepoints, checkpoints',
  data: 'Data',
  cluster: 'The cluster',
  access: 'Tokens',
  operations: 'For programs that watch',
  spark: 'As a Spark master',
};

/** A whole HTML document. `version`: of Weir. */
export function docsPage(version: string): string {
  const all = Object.values(routes) as readonly RouteSpec[];
  const groups = (Object.keys(routeGroups) as RouteSpec['tag'][]).map((tag) => {
    const rows = all.filter((route) => route.tag === tag).map(rowOf);
    return `<section class="panel" id="${tag}"><header class="panel-head"><h2>${routeGroups[tag]}</h2></header>
<div class="table-box" tabindex="0" role="region" aria-label="${routeGroups[tag]}"><table>
<thead><tr><th>Request</th><th>What it does</th><th>Parameters</th><th>Role</th></tr></thead>
<tbody>${rows.join('\n')}</tbody></table></div></section>`;
  });
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Weir: REST</title>
<link rel="stylesheet" href="/ui/app.css">
</head>
<body class="docs">
<main>
<h1>REST of Weir ${escaped(version)}</h1>
<p><a href="/v1/openapi.json">OpenAPI 3.1</a> · <a href="/schemas/job.v1.json">JSON Schema of job files</a> ·
<a href="/">the page</a></p>
${groups.join('\n')}
</main>
</body>
</html>
`;
}

function rowOf(route: RouteSpec): string {
  const query = Object.keys(route.query?.shape ?? {}).map((name) => `?${name}`);
  const parameters = [...pathParameters(route.path).map((name) => `{${name}}`), ...query];
  const codes = parameters.map((name) => `<code>${escaped(name)}</code>`).join(' ');
  return `<tr><td><code><b>${route.method}</b> ${escaped(route.path)}</code></td><td>${escaped(route.summary)}</td><td>${codes}</td><td>${route.role}</td></tr>`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
