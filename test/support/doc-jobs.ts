/** The job files in the pages of docs/connectors, as they stand there. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const directory = join(import.meta.dirname, '..', '..', 'docs', 'connectors');

/** Texts of job files by the name of the job. */
export function docJobs(): ReadonlyMap<string, string> {
  const jobs = new Map<string, string>();
  for (const page of readdirSync(directory).filter((name) => name.endsWith('.md'))) {
    const text = readFileSync(join(directory, page), 'utf8');
    for (const [, yaml = '', name = ''] of text.matchAll(/```yaml\n(# job: ([a-z0-9-]+)\n[^]*?)```/g))
      jobs.set(name, yaml);
  }
  return jobs;
}

/** One of them. */
export function docJob(name: string): string {
  const text = docJobs().get(name);
  if (text === undefined) throw new Error(`no page of docs/connectors has the job ${name}`);
  return text;
}
