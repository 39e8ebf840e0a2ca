/**
 * What operating costs: the first paint of the web page, the master's memory with a hundred jobs, and how smooth the page
 * stays with a thousand jobs that all change. `node test/ui/operate.ts [JOBS]`; needs Chromium, and dist/ (`npm run prepare`)
 * for figures of what people run. Prints one JSON document.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { launch } from './browser.ts';
import { Shop, TOKEN, ordersJob } from './cluster.ts';
import { move, startLargeCluster } from './large-cluster.ts';
import { fromLauncher, until } from '../support/cluster.ts';

const PAINTS = 5;
const SETTLE_MS = 20_000;
const WATCH_MS = 10_000;
const PATIENCE_MS = 300_000;

async function rssMb(pid: number): Promise<{ readonly now: number; readonly peak: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const mb = (name: string): number => Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024);
  return { now: mb('VmRSS'), peak: mb('VmHWM') };
}

/** Seconds of CPU of a process so far. */
async function cpuSeconds(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** ms of first-contentful-paint, each in a browser context of its own: nothing is cached. */
async function paints(browser: Browser, address: string, hash: string): Promise<number[]> {
  const found: number[] = [];
  for (let visit = 0; visit < PAINTS; visit++) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 860 } });
    const page = await context.newPage();
    await page.goto(`${address}/${hash}`);
    await page.getByRole('link', { name: 'Weir' }).waitFor();
    found.push(
      await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Number.NaN),
    );
    await context.close();
  }
  return found.map(Math.round).toSorted((a, b) => a - b);
}

/** Long tasks and gaps between frames while figures come in. */
async function smoothness(page: Page): Promise<object> {
  return await page.evaluate(async (watchMs) => {
    const tasks: number[] = [];
    const observer = new PerformanceObserver((entries) =>
      tasks.push(...entries.getEntries().map(({ duration }) => Math.round(duration))),
    );
    observer.observe({ entryTypes: ['longtask'] });
    const gaps: number[] = [];
    const begun = performance.now();
    for (let last = begun; last - begun < watchMs;) {
      const now = await new Promise<number>((resolve) => requestAnimationFrame(resolve));
      gaps.push(now - last);
      last = now;
    }
    gaps.sort((a, b) => a - b);
    const at = (part: number): number => Math.round(gaps[Math.floor(part * (gaps.length - 1))] ?? 0);
    return { longTasksMs: tasks, frames: gaps.length, gapMsP50: at(0.5), gapMsP99: at(0.99), gapMsMax: at(1) };
  }, WATCH_MS);
}

async function large(browser: Browser): Promise<object> {
  const server = await startLargeCluster();
  const moving = setInterval(move, 500);
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 860 } });
    const screens: Record<string, object> = {};
    for (const path of ['/', '/jobs/job-0000/partitions', '/jobs/job-0000/batches']) {
      await page.goto(`${server.address}${path}`);
      await page.locator('main h1').first().waitFor();
      await sleep(2000);
      screens[path] = await smoothness(page);
    }
    return screens;
  } finally {
    clearInterval(moving);
    await server.close();
  }
}

async function hundred(browser: Browser, jobs: number): Promise<object> {
  const shop = await Shop.open(fromLauncher);
  try {
    const master = shop.cluster.process('master');
    const empty = await rssMb(master.pid);
    await shop.cluster.startWorker();
    await shop.cluster.startWorker();
    const begun = await cpuSeconds(master.pid);
    for (let number = 0; number < jobs; number++) {
      const name = `job-${String(number).padStart(3, '0')}`;
      await until(`${name} is taken`, PATIENCE_MS, async () => {
        await shop.cluster.apply(name, ordersJob('amount > 0', 'orders', name));
        return true;
      });
    }
    const submitted = await cpuSeconds(master.pid);
    await until('all jobs run', PATIENCE_MS, async () => {
      const { jobs: list } = (await shop.cluster.request('GET', '/v1/jobs?fields=summary&state=running')) as {
        readonly jobs: readonly unknown[];
      };
      return list.length === jobs;
    });
    const before = await cpuSeconds(master.pid);
    await sleep(SETTLE_MS);
    const idleCpu = ((await cpuSeconds(master.pid)) - before) / (SETTLE_MS / 1000);
    const first = await paints(browser, shop.address, `#token=${TOKEN}`);
    return {
      jobs,
      masterRssMb: { empty, with: await rssMb(master.pid) },
      submitCpuMsPerJob: Math.round(((submitted - begun) * 1000) / jobs),
      cpuWhileNothingHappens: Number(idleCpu.toFixed(3)),
      firstContentfulPaintMs: { median: first[Math.floor(first.length / 2)], all: first },
    };
  } finally {
    await shop.close();
  }
}

const browser = await launch();
try {
  const small = await hundred(browser, Number(process.argv[2] ?? 100));
  process.stdout.write(`${JSON.stringify({ ...small, thousandJobs: await large(browser) }, null, 2)}\n`);
} finally {
  await browser.close();
}
