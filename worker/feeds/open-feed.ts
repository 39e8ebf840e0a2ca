/** Opens the place behind a feed; its connector is loaded when first used. */
import type { Clock, Rng } from '../../core/clock.ts';
import { WeirError } from '../../core/errors.ts';
import type { Feed } from '../../core/feed/feed.ts';
import type { PlannedFeed } from '../../core/job/feed-topics.ts';
import type { Log } from '../../core/ports.ts';
import { requireResolvable } from '../../connectors/system/outbound.ts';
import type { Environment } from '../../connectors/http/secrets.ts';
import { parseOutbound } from '../../core/security/outbound.ts';

export interface FeedParts {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  /** For `${env:…}`, and for where files may be. */
  readonly env: Environment;
}

/** Connects with the first step. Throws: CONFIG_INVALID. */
export async function openFeed({ spec }: PlannedFeed, { clock, rng, env }: FeedParts): Promise<Feed> {
  const policy = parseOutbound(env['WEIR_ALLOWED_HOSTS']);
  const requireHost = (host: string): Promise<void> => requireResolvable(policy, host);
  switch (spec.connector) {
    case 'generator': {
      const { GeneratorFeed } = await import('../../connectors/generator/generator-feed.ts');
      return new GeneratorFeed(spec, clock);
    }
    case 'http': {
      const [{ HttpFeed }, { secretsOf }] = await Promise.all([
        import('../../connectors/http/http-feed.ts'),
        import('../../connectors/http/secrets.ts'),
      ]);
      return new HttpFeed(spec, { clock, secret: secretsOf(env), requireHost });
    }
    case 'file': {
      const { FileFeed } = await import('../../connectors/file-source/file-feed.ts');
      return new FileFeed(spec, { clock, directory: directoryOf(env, policy.kind === 'any', spec.path) });
    }
    case 'websocket': {
      const [{ WebSocketFeed }, { secretsOf }] = await Promise.all([
        import('../../connectors/websocket/websocket-feed.ts'),
        import('../../connectors/http/secrets.ts'),
      ]);
      return new WebSocketFeed(spec, { clock, secret: secretsOf(env), requireHost });
    }
    case 'package': {
      const { openPackageFeed } = await import('../../connectors/packages/open.ts');
      return await openPackageFeed(spec, { env, clock, rng, requireHost });
    }
    case 'browser': {
      const [{ BrowserFeed }, { Chromium }] = await Promise.all([
        import('../../connectors/browser/browser-feed.ts'),
        import('../../connectors/browser/chromium.ts'),
      ]);
      return new BrowserFeed(spec, {
        clock,
        requireHost,
        browser: new Chromium(env['WEIR_CHROMIUM'], spec.userAgent, requireHost),
      });
    }
  }
}

/** Where jobs are bound in what they may reach, they do not read whatever the worker may either. Throws: CONFIG_INVALID. */
function directoryOf(env: Environment, isAnywhere: boolean, path: string): string {
  const directory = env['WEIR_FILES_DIR'];
  if (directory !== undefined) return directory;
  if (isAnywhere) return process.cwd();
  throw new WeirError(
    'CONFIG_INVALID',
    `A job may not read files of ${path}: set WEIR_FILES_DIR for the workers to the directory that jobs may use.`,
  );
}
