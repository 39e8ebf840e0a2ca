/** `weir apply --prune`: jobs that a folder no longer has are deleted from the cluster, within a selection of labels. */
import { WeirError } from '../../core/errors.ts';
import type { Labels, Selector } from '../../core/job/labels.ts';
import { matchesLabels, parseSelector } from '../../core/job/labels.ts';
import type { MasterClient } from '../client.ts';
import type { ConfirmOptions } from '../confirm.ts';
import { confirm } from '../confirm.ts';
import { tell } from '../output.ts';

export interface PruneOptions extends ConfirmOptions {
  readonly prune?: boolean;
  readonly selector?: string;
  readonly dryRun?: boolean;
}

interface NamedLabels {
  readonly name: string;
  readonly labels: Labels;
}

/**
 * Names of jobs of the selection that none of `files` has; asks before they may go. Called before anything is applied.
 * Throws: USAGE without a selection, or where nobody can be asked; CONFLICT when the answer is no.
 */
export async function jobsToPrune(
  client: MasterClient,
  files: readonly NamedLabels[],
  options: PruneOptions,
): Promise<readonly string[]> {
  if (options.prune !== true) return [];
  if (options.selector === undefined || options.selector === '')
    throw new WeirError(
      'USAGE',
      '--prune needs a selection of jobs that these files stand for, such as -l team=payments: jobs without it are left alone.',
    );
  const selector = parseSelector(options.selector);
  warnOfOthers(files, selector, options.selector);
  const names = new Set(files.map(({ name }) => name));
  const there = await client.jobNames(options.selector);
  const gone = there.filter((name) => !names.has(name));
  if (gone.length === 0 || options.dryRun === true) return gone;
  const those = gone.length === 1 ? `the job ${gone[0]}` : `the jobs ${gone.join(', ')}`;
  await confirm(`With ${options.selector} the cluster has ${those}, which no file has: stop and delete.`, options);
  return gone;
}

/** A job that the selection does not find will stay when its file goes. */
function warnOfOthers(files: readonly NamedLabels[], selector: Selector, text: string): void {
  for (const { name, labels } of files)
    if (!matchesLabels(selector, labels)) tell(`warning: ${name} has not the labels ${text}; --prune never deletes it`);
}
