/** The bundled listing site as a process of its own: `node jobs/site/main.ts [PORT [HOST]]`. */
import { startListingSite } from './server.ts';

const [port = '7090', host = '127.0.0.1'] = process.argv.slice(2);
const site = await startListingSite({ seed: 1, port: Number(port), host });
process.stdout.write(`listing site on ${site.url}/for-sale?page=1\n`);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void site.close());
