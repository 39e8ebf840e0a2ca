/**
 * `node test/ui/screenshots.ts [SECONDS [NAME…]]`: runs a cluster with the example jobs for a while (default 75 s) and
 * writes a picture of every screen (or of those named) into docs/img/. Needs Chromium.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Visitor, launch } from './browser.ts';
import { Shop, TOKEN } from './cluster.ts';

const root = join(import.meta.dirname, '..', '..');
const folder = join(root, 'docs', 'img');
const job = (path: string): string => readFileSync(join(root, path), 'utf8');
const pages = ['/', '/pricing', '/docs', '/blog', '/login', '/cart'];
const people = ['ann', 'bob', 'cleo', 'dan', 'eve'];

/** Something to draw a chart of. */
const regions = `apiVersion: weir/v1
kind: Job
name: users-by-region
sources:
  users:
    connector: kafka
    topic: users_created
    startingOffsets: earliest
    schema: id STRING NOT NULL, post_code INT, email STRING
query: |
  SELECT concat('region ', substring(CAST(post_code AS STRING), 1, 1)) AS region,
         count(*) AS users, count(DISTINCT post_code) AS post_codes
  FROM users
  WHERE post_code IS NOT NULL
  GROUP BY concat('region ', substring(CAST(post_code AS STRING), 1, 1))
sinks:
  - { connector: cassandra, keyspace: shop, table: users_by_region, primaryKey: [region], create: true }
outputMode: update
`;

/** Something that runs again and again. */
const scheduled = regions
  .replace('name: users-by-region', 'name: regions-by-schedule')
  .replace('table: users_by_region', 'table: regions_by_schedule').concat(`trigger: availableNow
schedule: { cron: '*/10 * * * * *', timeZone: Europe/Oslo }
`);

interface Shot {
  readonly name: string;
  readonly path: string;
  readonly dark?: boolean;
  readonly small?: boolean;
  readonly prepare?: (visitor: Visitor) => Promise<void>;
}

const shots: readonly Shot[] = [
  { name: 'overview', path: '/' },
  { name: 'overview-dark', path: '/', dark: true },
  { name: 'overview-375', path: '/', small: true },
  { name: 'job', path: '/jobs/views-per-minute' },
  { name: 'job-dark', path: '/jobs/created-users', dark: true },
  { name: 'partitions', path: '/jobs/created-users/partitions' },
  { name: 'batches', path: '/jobs/views-per-minute/batches' },
  { name: 'state', path: '/jobs/views-per-minute/state' },
  { name: 'data', path: '/jobs/created-users/data' },
  { name: 'runs', path: '/jobs/regions-by-schedule/runs' },
  { name: 'definition', path: '/jobs/views-per-minute/definition' },
  { name: 'logs', path: '/jobs/created-users/logs' },
  { name: 'revisions', path: '/jobs/created-users/revisions' },
  {
    name: 'rollback',
    path: '/jobs/created-users',
    prepare: async ({ page }) => {
      await page.getByRole('button', { name: 'Roll back' }).click();
      await page.getByRole('region', { name: 'Differences' }).waitFor();
    },
  },
  {
    name: 'replay',
    path: '/jobs/created-users',
    prepare: async ({ page }) => await page.getByRole('button', { name: 'Replay' }).click(),
  },
  { name: 'dead-letters', path: '/dead-letters' },
  { name: 'workers', path: '/workers' },
  { name: 'topic', path: '/topics/users_created' },
  {
    name: 'tables',
    path: '/tables',
    prepare: async ({ page }) => {
      await page.getByRole('button', { name: 'Show rows of golden.views_per_minute' }).click();
      await page.getByText(/^\d+ rows? in /).waitFor();
    },
  },
  {
    name: 'chart',
    path: `/tables?${new URLSearchParams({
      cql: 'SELECT region, users, post_codes FROM shop.users_by_region',
      chart: 'bars',
      across: 'region',
      values: 'users,post_codes',
      every: '5',
    }).toString()}`,
    prepare: async ({ page }) =>
      await page.getByRole('textbox', { name: 'Query' }).evaluate((box) => box.scrollIntoView({ block: 'start' })),
  },
  {
    name: 'editor',
    path: '/editor/created-users',
    prepare: async (visitor) => {
      const file = visitor.page.getByLabel('Job file');
      await file.fill((await file.inputValue()).replace('upper(last_name)', 'uper(last_name)'));
      await visitor.sees(/^Line \d+, column/);
    },
  },
  { name: 'events', path: '/events' },
];

const [, , seconds = '75', ...wanted] = process.argv;
const browser = await launch();
const shop = await Shop.open();
const { cluster } = shop;
try {
  await shop.createTopic('page_views', 4);
  await shop.createTopic('users_created', 4);
  await shop.createTopic('properties', 2);
  await cluster.startWorker();
  await cluster.startWorker();
  const producers = ['users', 'properties'].map((name) => join(root, 'jobs', 'producers', `${name}.ts`));
  cluster.spawn('producers', ['produce', ...producers, '--rate', '500', '--seed', '7']);
  const users = job('jobs/created-users.yaml');
  await cluster.apply('created-users', users.replace('WHERE post_code IS NOT NULL', 'WHERE post_code > 0'));
  await cluster.apply('created-users', users);
  await cluster.apply('properties', job('jobs/properties.yaml'));
  await cluster.apply(
    'views-per-minute',
    job('test/golden/views-per-minute.yaml').replace('outputMode: append', 'outputMode: update'),
  );
  await cluster.apply('users-by-region', regions);
  await cluster.apply('regions-by-schedule', scheduled);
  let made = 0;
  const end = performance.now() + Number(seconds) * 1000;
  const viewed = async (): Promise<void> => {
    for (let number = 0; number < 4; number++) {
      const values = Array.from({ length: 40 + 10 * number }, () => {
        made++;
        const [page, user] = [pages[(made * made) % pages.length], people[made % people.length]];
        return JSON.stringify({ page, user, ms: 20 + ((made * 31) % 200), ts: new Date().toISOString() });
      });
      await shop.produce('page_views', number, values);
    }
  };
  while (performance.now() < end) {
    await viewed();
    await sleep(500);
  }
  const going = setInterval(() => void viewed().catch(() => undefined), 500);
  await cluster.request('PUT', '/v1/jobs/views-per-minute/savepoints/before-holidays');
  mkdirSync(folder, { recursive: true });
  for (const { name, path, dark, small, prepare } of shots) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const viewport = small === true ? { width: 375, height: 760 } : { width: 1280, height: 800 };
    const visitor = await Visitor.open(browser, cluster.address, TOKEN, {
      viewport,
      colorScheme: dark === true ? 'dark' : 'light',
    });
    await visitor.visit(path);
    await sleep(3500);
    await prepare?.(visitor);
    await sleep(400);
    await visitor.page.screenshot({ path: join(folder, `${name}.png`) });
    process.stdout.write(`${name}.png\n`);
    await visitor.close();
  }
  clearInterval(going);
} finally {
  await browser.close();
  await shop.close();
}
