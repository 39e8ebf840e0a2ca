import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { cpuSecondsOf, treeCpu, treeOf, usageOf } from './process-usage.ts';

test("a process's own figures agree with what Node says of it", () => {
  const end = performance.now() + 150;
  while (performance.now() < end);
  const { user, system } = process.cpuUsage();
  const usage = usageOf(process.pid);
  assert.ok(Math.abs(usage.cpuSeconds - (user + system) / 1e6) < 0.1);
  assert.ok(Math.abs(usage.peakRssBytes - process.resourceUsage().maxRSS * 1024) < 32 * 1024 * 1024);
  assert.equal(cpuSecondsOf([]), 0);
});

test('a tree holds its living descendants, and the times of those that ended', async () => {
  const before = treeCpu([process.pid]);
  spawnSync(process.execPath, ['-e', 'const end = performance.now() + 200; while (performance.now() < end);']);
  const after = treeCpu([process.pid]);
  assert.ok(after.user + after.system - before.user - before.system >= 0.03);
  const child = spawn('/bin/sh', ['-c', 'sleep 60; :'], { stdio: 'ignore' });
  await once(child, 'spawn');
  try {
    assert.ok(treeOf([process.pid]).includes(child.pid ?? 0));
  } finally {
    for (const pid of treeOf([child.pid ?? 0]).toReversed()) process.kill(pid, 'SIGKILL');
    await once(child, 'exit');
  }
});
