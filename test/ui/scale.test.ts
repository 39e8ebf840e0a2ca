/** A thousand jobs and two hundred partitions: the master's own doors over a cluster that only says so. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { Registry } from 'prom-client';
import type { Browser } from 'playwright-core';
import { zeroCounters } from '../../core/lane/position.ts';
import type { Connections } from '../../core/ports.ts';
import type { HttpServer } from '../../master/http/server.ts';
import { startHttp } from '../../master/http/server.ts';
import type { ClusterControl } from '../../master/service.ts';
import { JobService } from '../../master/service.ts';
import type { JobView, LaneView } from '../../master/views.ts';
import { noLog } from '../conformance/no-log.ts';
import { Visitor, launch } from './browser.ts';

const JOBS = 1000;
const PARTITIONS = 200;
/** Rows of a table that may be in the page at a time. */
const ROWS_MAX = 60;

let tick = 0;

function laneOf(partition: number): LaneView {
  const lag = (partition * 37 + tick * 13) % 500;
  return {
    lane: `source/${partition}`,
    source: 'source',
    topic: 'wide',
    partition,
    owner: `worker-${partition % 8}`,
    generation: 1,
    state: 'running',
    code: null,
    message: null,
    committedOffset: tick * 100,
    readOffset: tick * 100,
    endOffset: tick * 100 + lag,
    lag,
    counters: zeroCounters,
  };
}

function jobOf(index: number): JobView {
  const name = `job-${String(index).padStart(4, '0')}`;
  const lanes = index === 0 ? Array.from({ length: PARTITIONS }, (_, partition) => laneOf(partition)) : [];
  const row = {
    name,
    state: index % 97 === 5 ? 'failed' : 'running',
    reason: index % 97 === 5 ? { code: 'SINK_SCHEMA', message: 'The table has no such column.' } : null,
    revision: 1,
    run: 1,
    definition: 'x',
    lanes: {},
    submittedAt: 0,
    changedAt: 0,
  };
  const rows = 100 + ((index * 7 + tick * 3) % 50);
  const figures = { lag: index % 20, recordsPerSecond: rows, rowsPerSecond: rows, latencyMsP50: 4, latencyMsP99: 9 };
  const places = { operators: [], protocol: 'lanes', sources: [], sinks: [], topics: ['wide'] };
  return { row, lanes, counters: zeroCounters, epochs: null, ...figures, ...places } as unknown as JobView;
}

suite('a large cluster', { timeout: 180_000 }, () => {
  let server: HttpServer;
  let browser: Browser;

  before(async () => {
    const jobs = (): JobView[] => Array.from({ length: JOBS }, (_, index) => jobOf(index));
    const control = { jobs, job: (name: string) => jobOf(Number(name.slice(4))), workers: () => [] };
    const tables = { query: () => Promise.resolve({ columns: [], rows: [] }) };
    const connections = { tables: () => tables } as unknown as Connections;
    const service = new JobService(control as unknown as ClusterControl, connections, noLog);
    server = await startHttp(service, {
      host: '127.0.0.1',
      port: 0,
      token: null,
      registry: new Registry(),
      log: noLog,
    });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  test('a thousand jobs are one list that draws what is in sight', async (t) => {
    const visitor = await Visitor.open(browser, server.address, null);
    const { page } = visitor;
    const list = page.getByRole('group', { name: 'Jobs', exact: true });
    await list.getByText('job-0000').waitFor();
    assert.ok((await list.locator('tbody tr').count()) <= ROWS_MAX);
    assert.equal(await list.locator('table').getAttribute('aria-rowcount'), String(JOBS + 1));
    await list.evaluate((element) => element.scrollTo(0, element.scrollHeight));
    await list.getByText('job-0999').waitFor();
    assert.ok((await list.locator('tbody tr').count()) <= ROWS_MAX);
    await page.getByPlaceholder('Filter by name').fill('job-0777');
    await list.getByText('job-0777').waitFor();
    assert.equal(await list.getByRole('link').count(), 1);
    await page.getByPlaceholder('Filter by name').fill('');
    await page.getByRole('button', { name: /^failed / }).click();
    await list.getByText('job-0005').waitFor();
    await visitor.sees('job-0005 has failed.');
    await page.getByRole('button', { name: /^failed / }).click();
    const long = await page.evaluate(async () => {
      const spans: number[] = [];
      const observer = new PerformanceObserver((entries) =>
        spans.push(...entries.getEntries().map(({ duration }) => duration)),
      );
      observer.observe({ entryTypes: ['longtask'] });
      const end = performance.now() + 4000;
      const box = document.querySelector('.table-box');
      while (performance.now() < end) {
        box?.scrollBy(0, 170);
        await new Promise((resolve) => requestAnimationFrame(resolve));
      }
      return spans;
    });
    t.diagnostic(`long tasks in four seconds of scrolling: ${long.map(Math.round).join(', ') || 'none'} ms`);
    assert.deepEqual(visitor.complaints, []);
    await visitor.close();
  });

  test('two hundred partitions: the list, and the grid of batches', async () => {
    const visitor = await Visitor.open(browser, server.address, null);
    const { page } = visitor;
    await visitor.visit('/jobs/job-0000/partitions');
    const list = page.getByRole('group', { name: 'Partitions' });
    await list.getByText('worker-3').first().waitFor();
    assert.ok((await list.locator('tbody tr').count()) <= ROWS_MAX);
    const moving = setInterval(() => tick++, 300);
    try {
      await visitor.visit('/jobs/job-0000/batches');
      const grid = page.locator('canvas');
      await grid.waitFor();
      await page.waitForFunction(() => (document.querySelector('canvas')?.height ?? 0) >= 200 * 14);
    } finally {
      clearInterval(moving);
    }
    assert.deepEqual(visitor.complaints, []);
    await visitor.close();
  });

  test('a screen reader is told how many rows there are, in every colour scheme', async () => {
    const visitor = await Visitor.open(browser, server.address, null, { colorScheme: 'dark' });
    await visitor.sees('job-0000');
    assert.deepEqual(await visitor.axe(), []);
    await visitor.close();
  });
});
