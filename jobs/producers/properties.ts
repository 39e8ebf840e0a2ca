/**
 * Crawls a property-listing site and sends every new or changed listing to `properties`, as the site gave it: what is
 * broken there is broken here, the job decides what to do with it.
 *
 * Settings: `site` = address of the site (default: the bundled one, started on loopback); `interval` = seconds between
 * two passes (default 10).
 */
import { defineProducer, pause } from '../../sdk/producer.ts';
import { Crawler } from '../site/crawler.ts';
import { startListingSite } from '../site/server.ts';

const TOPIC = 'properties';
const PASS_INTERVAL_S_DEFAULT = 10;

export default defineProducer({
  name: 'properties',
  topic: TOPIC,
  partitions: 2,
  async run({ args, clock, signal, log, send }) {
    const address = args.settings.get('site');
    const intervalMs = Number(args.settings.get('interval') ?? PASS_INTERVAL_S_DEFAULT) * 1000;
    const bundled = address === undefined ? await startListingSite({ seed: args.seed }) : undefined;
    try {
      const crawler = new Crawler({ url: bundled?.url ?? address ?? '', clock, signal, log });
      let sent = 0;
      while (!signal.aborted && sent < args.count) {
        for await (const changed of crawler.crawl()) {
          const records = changed.slice(0, args.count - sent).map(({ id, body }) => ({ key: id, value: body }));
          await send(TOPIC, records);
          sent += records.length;
          if (sent >= args.count) break;
        }
        if (sent < args.count) await pause(clock, intervalMs, signal);
      }
    } finally {
      await bundled?.close();
    }
  },
});
