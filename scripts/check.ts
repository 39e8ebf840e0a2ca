/**
 * `npm run check`: types, lint, format, what the tree promises, generated files. Everything runs at once and every
 * failure is shown. `node scripts/check.ts types lint` runs only those.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const bin = (name: string): string => join(root, 'node_modules', '.bin', name);
const node = process.execPath;

const checks = new Map<string, readonly [command: string, ...args: string[]]>([
  ['types', [bin('tsc'), '--noEmit', '-p', 'tsconfig.json']],
  ['ui types', [bin('tsc'), '--noEmit', '-p', 'ui/tsconfig.json']],
  ['ui tests', [bin('tsc'), '--noEmit', '-p', 'test/ui/tsconfig.json']],
  ['ui bundle', [node, 'scripts/build-ui.ts', '--check']],
  ['lint', [bin('oxlint'), '--type-aware', '-f', 'unix']],
  ['format', [bin('oxfmt'), '--check', '.']],
  ['tidy', [node, '--test', '--test-reporter=dot', 'test/tidy.test.ts']],
  ['generated', [node, 'scripts/gen-proto.ts', '--check']],
  ['errors', [node, 'scripts/gen-errors.ts', '--check']],
  ['openapi', [node, 'scripts/gen-openapi.ts', '--check']],
  ['metrics', [node, 'scripts/gen-ops.ts', '--check']],
  ['functions', [node, 'scripts/gen-functions.ts', '--check']],
]);

interface Outcome {
  readonly name: string;
  readonly code: number | null;
  readonly output: string;
  readonly ms: number;
}

function run(name: string, command: readonly [string, ...string[]]): Promise<Outcome> {
  const [file, ...args] = command;
  const startedAt = performance.now();
  return new Promise((resolve) => {
    const child = spawn(file, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.on('error', (error) => resolve({ name, code: 1, output: `${error.message}\n`, ms: 0 }));
    child.on('close', (code) =>
      resolve({ name, code, output: Buffer.concat(chunks).toString(), ms: performance.now() - startedAt }),
    );
  });
}

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !checks.has(name));
if (unknown.length > 0) {
  process.stderr.write(`There is no check called ${unknown.join(', ')}; there are ${[...checks.keys()].join(', ')}.\n`);
  process.exit(2);
}
const chosen = [...checks].filter(([name]) => asked.length === 0 || asked.includes(name));
const outcomes = await Promise.all(chosen.map(async ([name, command]) => await run(name, command)));
for (const { name, code, output, ms } of outcomes) {
  process.stdout.write(`${code === 0 ? 'ok    ' : 'FAILED'} ${name.padEnd(10)} ${(ms / 1000).toFixed(1)} s\n`);
  if (code !== 0) process.stdout.write(output.replaceAll(/^(?=.)/gm, '    '));
}
process.exitCode = outcomes.every(({ code }) => code === 0) ? 0 : 1;
