/**
 * Makes docs/functions.md from the tables of functions in engine/sql. With `--check` nothing is written and a stale
 * file fails.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FunctionDoc, functionDocs, functionGroups, refusedDocs } from '../engine/sql/function-docs.ts';

/** Text within a cell of a table. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

function code(text: string): string {
  return text === '' ? '' : text.includes('`') ? `\`\` ${cell(text)} \`\`` : `\`${cell(text)}\``;
}

function row({ usage, aliases, about, examples }: FunctionDoc): string {
  const also = aliases.length === 0 ? '' : ` Also ${aliases.map(code).join(', ')}.`;
  const shown = examples.map(([sql, result]) => `${code(sql)} = ${result === '' ? '(empty)' : code(result)}`);
  return `| ${code(usage)} | ${cell(about)}${also} | ${shown.join('<br>')} |`;
}

function section(group: string, title: string): string {
  const docs = functionDocs.filter((doc) => doc.group === group);
  const withExamples = docs.some(({ examples }) => examples.length > 0);
  const head = withExamples
    ? '| call | meaning | examples |\n| --- | --- | --- |'
    : '| call | meaning |\n| --- | --- |';
  const rows = docs.map((doc) => (withExamples ? row(doc) : row(doc).replace(/ \|  \|$/, ' |')));
  return `## ${title}\n\n${head}\n${rows.join('\n')}`;
}

function generate(): string {
  const refused = refusedDocs.map(
    ({ names, why, instead }) => `| ${names.map(code).join(', ')} | ${cell(why)} | ${cell(instead)} |`,
  );
  return `<!-- Made from engine/sql/function-docs.ts by \`node scripts/gen-functions.ts\`. Do not edit. -->
# Functions

What a query may call: ${functionDocs.length} functions and operators, with Spark's names and Spark's rules. \`weir functions\` prints
the same list, \`weir functions NAME\` one of them. The examples are tests: each is run, and its value compared as text
(\`CAST(… AS STRING)\`) in a session whose time zone is UTC.

Rules that hold everywhere, as in Spark's ANSI mode:

- A function is NULL when an argument is NULL, unless its line says otherwise.
- What cannot be computed raises: the record becomes a dead letter with a code (\`CAST_INVALID\`,
  \`ARITHMETIC_OVERFLOW\`, \`DIVIDE_BY_ZERO\`, \`EXPRESSION_FAILED\`), and the job goes on. The \`try_\` form gives NULL.
- Texts become numbers and dates where a function wants those, blanks at both ends left out; whole numbers divide to a
  DOUBLE; \`%\` keeps the sign of the dividend, \`pmod\` does not.
- \`array[0]\` counts from 0, \`element_at\` and all positions within a text from 1.
- Texts are compared byte by byte.
- Regular expressions are Java's; \`split\` takes one. No pattern can hold up a worker: where the time of backtracking is
  not known to be short for a text, the pattern runs on a machine whose time grows with text × pattern. Only patterns
  that look around or refer back cannot run there: they are refused when nothing bounds them, and raise for texts that
  are too long for them. \`a++\`, \`(?>…)\` and \`[a-z&&[^b]]\` are refused.
- \`current_timestamp()\`, \`rand()\` and \`uuid()\` depend on the record and not on the moment: reading it again gives the
  same value.

${[...functionGroups].map(([group, title]) => section(group, title)).join('\n\n')}

## Not offered

| function | why | instead |
| --- | --- | --- |
${refused.join('\n')}
`;
}

const path = join(import.meta.dirname, '..', 'docs', 'functions.md');
const text = generate();
if (!process.argv.includes('--check')) {
  writeFileSync(path, text);
} else if (currentText() !== text) {
  console.error('docs/functions.md is not what the tables of functions give; run: node scripts/gen-functions.ts');
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
