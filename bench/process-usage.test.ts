import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cpuSecondsOf, usageOf } from './process-usage.ts';

test("a process's own figures agree with what Node says of it", () => {
  const end = performance.now() + 150;
  while (performance.now() < end);
  const { user, system } = process.cpuUsage();
  const usage = usageOf(process.pid);
  assert.ok(Math.abs(usage.cpuSeconds - (user + system) / 1e6) < 0.1);
  assert.ok(Math.abs(usage.peakRssBytes - process.resourceUsage().maxRSS * 1024) < 32 * 1024 * 1024);
  assert.equal(cpuSecondsOf([]), 0);
});
