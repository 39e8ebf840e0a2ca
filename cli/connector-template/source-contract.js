import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { manifestContract, sourceContract } from 'weir/testing';
import connector from '../src/index.js';

manifestContract({
  folder: new URL('../', import.meta.url),
  connector,
  source: { good: [{ path: 'a.ndjson' }], bad: [{}, { path: '' }, { path: 'a', more: 1 }] },
});

sourceContract('lines', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'connector-'));
  const path = join(folder, 'rows.ndjson');
  await writeFile(path, '');
  let id = 0;
  return {
    open: async () => await connector.openSource({ options: { path } }, {}),
    add: async (count) => {
      for (let added = 0; added < count; added++) await appendFile(path, `{"id":${id++}}\n`);
    },
    close: () => rm(folder, { recursive: true }),
  };
});
