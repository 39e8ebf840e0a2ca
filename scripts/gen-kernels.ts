/**
 * `npm run gen:kernels` compiles engine/kernels/assembly (AssemblyScript, a dialect of TypeScript) to WebAssembly with
 * SIMD and writes it, as base64, into engine/kernels/kernels-wasm.ts. The result is committed: neither installing nor
 * running needs the compiler. With `--check` it only compares.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { main } from 'assemblyscript/asc';

const sources = [
  new URL('../engine/kernels/assembly/area.ts', import.meta.url),
  new URL('../engine/kernels/assembly/crc32c.ts', import.meta.url),
  new URL('../engine/kernels/assembly/frames.ts', import.meta.url),
  new URL('../engine/kernels/assembly/blocks.ts', import.meta.url),
  new URL('../engine/kernels/assembly/json.ts', import.meta.url),
  new URL('../engine/kernels/assembly/records.ts', import.meta.url),
];
const imported = [
  new URL('../engine/kernels/assembly/text.ts', import.meta.url),
  new URL('../engine/kernels/assembly/values.ts', import.meta.url),
  new URL('../engine/kernels/assembly/write-values.ts', import.meta.url),
];
const target = fileURLToPath(new URL('../engine/kernels/kernels-wasm.ts', import.meta.url));

/** Pages of 64 KiB: 32 MiB of address space, of which only what is written becomes memory. The size never changes. */
const PAGES = 512;
const LINE_CHARS = 112;

/** Compiles the kernels. Throws: what the compiler says. */
export async function compileKernels(): Promise<Uint8Array> {
  const texts = new Map([...sources, ...imported].map((url) => [basename(url.pathname), readFileSync(url, 'utf8')]));
  let wasm: Uint8Array | undefined;
  let said = '';
  const { error } = await main(
    [
      ...sources.map((url) => basename(url.pathname)),
      '--runtime=stub',
      '--enable=simd',
      '-O3',
      '--noAssert',
      '--outFile=kernels.wasm',
      `--initialMemory=${PAGES}`,
      `--maximumMemory=${PAGES}`,
    ],
    {
      readFile: (name) => texts.get(name) ?? null,
      writeFile: (_, content) => {
        if (typeof content !== 'string') wasm = content;
      },
      stderr: {
        write: (text) => {
          said += text;
        },
      },
    },
  );
  if (error !== null || wasm === undefined) throw new Error(`the kernels do not compile: ${said}`, { cause: error });
  return wasm;
}

/** The module that embeds the kernels. */
export function kernelsModule(wasm: Uint8Array): string {
  const base64 = Buffer.from(wasm).toString('base64');
  const lines = base64.match(new RegExp(`.{1,${LINE_CHARS}}`, 'g')) ?? [];
  return [
    `/** Made by \`npm run gen:kernels\` from ${dirname('engine/kernels/assembly/json.ts')}: ${wasm.byteLength} bytes of WebAssembly. */`,
    'export const KERNELS_BASE64 = [',
    ...lines.map((line) => `  '${line}',`),
    "].join('');",
    '',
  ].join('\n');
}

if (import.meta.main) {
  const text = kernelsModule(await compileKernels());
  if (!process.argv.includes('--check')) writeFileSync(target, text);
  else if (readFileSync(target, 'utf8') !== text) {
    process.stderr.write('engine/kernels/kernels-wasm.ts is not what its sources give; run: npm run gen:kernels\n');
    process.exitCode = 1;
  }
}
