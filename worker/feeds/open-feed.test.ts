import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PlannedFeed } from '../../core/job/feed-topics.ts';
import { isWeirError } from '../../core/errors.ts';
import { openFeed } from './open-feed.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import { makeLog } from '../../connectors/system/log.ts';

const feed = { spec: { connector: 'file', path: '/etc/*' } } as unknown as PlannedFeed;
const parts = { clock: systemClock, rng: systemRng, log: makeLog('test', 'error') };

test('where jobs are bound in what they may reach, a source of files needs a directory to be named', async () => {
  await assert.rejects(openFeed(feed, { ...parts, env: { WEIR_ALLOWED_HOSTS: 'public' } }), (error) =>
    isWeirError(error, 'CONFIG_INVALID'),
  );
  const named = await openFeed(feed, { ...parts, env: { WEIR_ALLOWED_HOSTS: 'public', WEIR_FILES_DIR: '/srv/in' } });
  await named.close();
  const local = await openFeed(feed, { ...parts, env: {} });
  await local.close();
});
