/** `weir functions`: what a query may call. */
import { WeirError } from '../../core/errors.ts';
import { functionDocument } from '../../engine/plan/known-functions.ts';
import {
  type FunctionDoc,
  functionDoc,
  functionDocs,
  functionGroups,
  refusedDocs,
} from '../../engine/sql/function-docs.ts';
import { similarWord } from '../../core/job/similar.ts';
import { formatTable, print, printJson, tell } from '../output.ts';
import type { GlobalOptions } from '../settings.ts';
import { outputFormat } from '../settings.ts';

/** Lists all functions by group, or shows one with its examples. Throws: NOT_FOUND, USAGE. */
export function functions(name: string | undefined, options: GlobalOptions): void {
  const format = outputFormat(options, ['table', 'json', 'name']);
  const shown = name === undefined ? functionDocs : [functionNamed(name)];
  if (format === 'json') {
    const documents = shown.map(functionDocument);
    printJson(name === undefined ? documents : documents[0]);
  } else if (format === 'name') {
    for (const doc of shown) print(doc.name);
  } else if (name === undefined) {
    list();
  } else {
    for (const doc of shown) show(doc);
  }
}

function functionNamed(name: string): FunctionDoc {
  const doc = functionDoc(name);
  if (doc !== undefined) return doc;
  const refused = refusedDocs.find(({ names }) => names.includes(name.toLowerCase()));
  if (refused !== undefined) {
    throw new WeirError('NOT_FOUND', `The function ${name} ${refused.why}; write ${refused.instead}.`);
  }
  const names = functionDocs.flatMap((doc) => [doc.name, ...doc.aliases]);
  const near = similarWord(name.toLowerCase(), names);
  throw new WeirError(
    'NOT_FOUND',
    `There is no function ${name}${near === undefined ? '; "weir functions" lists them all.' : `; did you mean ${near}?`}`,
  );
}

function list(): void {
  for (const [group, title] of functionGroups) {
    const docs = functionDocs.filter((doc) => doc.group === group);
    print(`${title}\n`);
    print(
      formatTable(
        ['  NAME', 'MEANING'],
        docs.map((doc) => [`  ${[doc.name, ...doc.aliases].join(', ')}`, doc.about]),
      ),
    );
    print('');
  }
  tell('"weir functions NAME" shows one with its examples.');
}

function show({ name, aliases, usage, about, examples }: FunctionDoc): void {
  print(usage);
  print(`  ${about}`);
  if (aliases.length > 0) print(`  Also called ${aliases.join(', ')}.`);
  if (examples.length > 0) print('');
  const width = Math.max(0, ...examples.map(([sql]) => sql.length));
  for (const [sql, result] of examples) print(`  ${sql.padEnd(width)}  = ${result === '' ? '(empty text)' : result}`);
  if (examples.length === 0) tell(`docs/functions.md tells more about ${name} and its kind.`);
}
