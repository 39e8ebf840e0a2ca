import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { manifestContract, rowSinkContract } from 'weir/testing';
import connector from '../src/index.js';

manifestContract({
  folder: new URL('../', import.meta.url),
  connector,
  sink: { good: [{ path: 'a.ndjson' }], bad: [{}, { path: '' }, { path: 'a', more: 1 }] },
});

rowSinkContract(
  'lines',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'connector-'));
    const path = (job) => join(folder, `${job}.ndjson`);
    return {
      open: async (job) =>
        await connector.openSink({ job, sink: 'lines', options: { path: path(job) }, format: {} }, {}),
      encode: (ids) => {
        const lines = ids.map((id) => new TextEncoder().encode(`{"id":${id}}\n`));
        let end = 0;
        return { bytes: Buffer.concat(lines), ends: Uint32Array.from(lines, ({ length }) => (end += length)) };
      },
      read: async (job) => {
        const text = await readFile(path(job), 'utf8').catch(() => '');
        return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line).id]));
      },
      close: () => rm(folder, { recursive: true }),
    };
  },
  { lanes: true, epochs: true, exactlyOnce: false },
);
