/** `weir diff FILE…`: what applying job files would change. */
import { WeirError, isWeirError } from '../../core/errors.ts';
import { parseJobDocument } from '../../core/job/document.ts';
import type { DiffLine } from '../../core/job/text-diff.ts';
import { diffLines } from '../../core/job/text-diff.ts';
import { MasterClient } from '../client.ts';
import { exitCodes } from '../exit.ts';
import { readJobFiles } from '../job-files.ts';
import { jobPath } from '../names.ts';
import { print, printJson, tell } from '../output.ts';
import type { GlobalOptions } from '../settings.ts';
import { outputFormat, target } from '../settings.ts';

/** Lines around a change that are shown with it. */
const AROUND = 3;

/** Returns 0 when nothing differs and 10 when something does. */
export async function diff(paths: readonly string[], options: GlobalOptions): Promise<number> {
  const format = outputFormat(options, ['table', 'json', 'name']);
  if (paths.length === 0) throw new WeirError('USAGE', 'Name job files, or folders with job files in them.');
  const client = new MasterClient(target(options));
  const found = [];
  for (const { path, text } of readJobFiles(paths)) {
    const { name } = parseJobDocument(text);
    found.push({ path, name, ...(await differenceOf(client, name, text)) });
  }
  const different = found.filter(({ same }) => !same);
  if (format === 'json') printJson(found);
  for (const { name, path, isNew, lines } of different) {
    if (format === 'name') print(name);
    if (format !== 'table') continue;
    print(`--- ${isNew ? 'nothing' : `job ${name}`}\n+++ ${path}`);
    for (const line of shown(lines)) print(line);
  }
  tell(different.length === 0 ? 'nothing differs' : `${different.map(({ name }) => name).join(', ')} would change`);
  return different.length === 0 ? exitCodes.ok : exitCodes.differs;
}

interface Difference {
  readonly same: boolean;
  readonly isNew: boolean;
  readonly lines: readonly DiffLine[];
}

async function differenceOf(client: MasterClient, name: string, text: string): Promise<Difference> {
  try {
    const { same, lines } = await client.sendFile<Omit<Difference, 'isNew'>>('POST', `${jobPath(name)}/diff`, text);
    return { same, isNew: false, lines };
  } catch (error) {
    if (!isWeirError(error, 'NOT_FOUND')) throw error;
    return { same: false, isNew: true, lines: diffLines('', text) };
  }
}

/** Changes with the lines around them, as `diff -u` shows them. */
function* shown(lines: readonly DiffLine[]): Generator<string> {
  const near = lines.map((_, at) =>
    lines.slice(Math.max(0, at - AROUND), at + AROUND + 1).some(({ kind }) => kind !== 'same'),
  );
  const marks = { same: ' ', removed: '-', added: '+' } as const;
  for (const [at, { kind, text }] of lines.entries()) {
    if (near[at] !== true) continue;
    if (at > 0 && near[at - 1] !== true) yield `@@ line ${at + 1} @@`;
    yield `${marks[kind]}${text}`;
  }
}
