/** A thousand jobs and two hundred partitions: the master's own doors over a cluster that only says so. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { Browser } from 'playwright-core';
import type { HttpServer } from '../../master/http/server.ts';
import { Visitor, launch } from './browser.ts';
import { JOBS, move, startLargeCluster } from './large-cluster.ts';

/** Rows of a table that may be in the page at a time. */
const ROWS_MAX = 60;

suite('a large cluster', { timeout: 180_000 }, () => {
  let server: HttpServer;
  let browser: Browser;

  before(async () => {
    server = await startLargeCluster();
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
    const moving = setInterval(move, 300);
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
