/** Builds what is packed: JavaScript and declarations in dist/. Node strips no types under node_modules. */
import { execFileSync } from 'node:child_process';
import { cpSync, globSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
rmSync(join(root, 'dist'), { recursive: true, force: true });
execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
});
cpSync(join(root, 'ui/bundle'), join(root, 'dist/ui/bundle'), { recursive: true });
for (const file of globSync('proto/**/*.proto', { cwd: root })) cpSync(join(root, file), join(root, 'dist', file));
