/** The job files in docs/formats.md and the pages of docs/connectors, as they stand there. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const docs = join(import.meta.dirname, '..', '..', 'docs');
const directory = join(docs, 'connectors');

/** Texts of job files by the name of the job. */
export function docJobs(): ReadonlyMap<string, string> {
  const jobs = new Map<string, string>();
  const pages = readdirSync(directory).filter((name) => name.endsWith('.md'));
  for (const page of [join(docs, 'formats.md'), ...pages.map((name) => join(directory, name))]) {
    const text = readFileSync(page, 'utf8');
    for (const [, yaml = '', name = ''] of text.matchAll(/```yaml\n(# job: ([a-z0-9-]+)\n[^]*?)```/g))
      jobs.set(name, yaml);
  }
  return jobs;
}

/** One of them. */
export function docJob(name: string): string {
  const text = docJobs().get(name);
  if (text === undefined) throw new Error(`neither docs/formats.md nor a page of docs/connectors has the job ${name}`);
  return text;
}
