/** A real Chromium for tests of the web page. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { chromium } from 'playwright-core';

const places = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/opt/google/chrome/chrome',
];

/** Throws a sentence that says what is missing. */
export function findChromium(): string {
  const named = process.env['CHROMIUM'];
  const found = [...(named === undefined ? [] : [named]), ...places].find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new Error(
    'The tests of the web page need Chromium and there is none on this machine: apt-get install chromium, or set CHROMIUM to the path of the program.',
  );
}

/** Throws as {@link findChromium}. */
export async function launch(): Promise<Browser> {
  // The sandbox needs privileges that containers and root do not have; only pages of the own master are opened.
  return await chromium.launch({ executablePath: findChromium(), args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Somebody at the page: counts clicks, and remembers what the browser complained about. */
export class Visitor {
  readonly page: Page;
  readonly complaints: string[] = [];
  clicks = 0;

  private constructor(page: Page) {
    this.page = page;
    page.on('pageerror', (error) => this.complaints.push(error.stack ?? error.message));
    page.on('console', (message) => {
      // A refused request is the page's business to show; what it could not do itself is a mistake.
      if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
        this.complaints.push(message.text());
    });
  }

  /** Opens `address` with the token, as `npm start` prints it. */
  static async open(
    browser: Browser,
    address: string,
    token: string | null,
    options: BrowserContextOptions = {},
  ): Promise<Visitor> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
    const visitor = new Visitor(await context.newPage());
    await visitor.page.goto(token === null ? address : `${address}/#token=${token}`);
    await visitor.page.getByRole('link', { name: 'Weir' }).waitFor();
    return visitor;
  }

  async click(what: Locator): Promise<void> {
    this.clicks++;
    await what.click();
  }

  /** Waits until the page shows it; `text` may stand in several places. */
  async sees(text: string | RegExp, within: Page | Locator = this.page): Promise<void> {
    await within.getByText(text).filter({ visible: true }).first().waitFor({ timeout: 20_000 });
  }

  /** Goes to a screen by its address and waits until it has settled. */
  async visit(path: string): Promise<void> {
    const origin = new URL(this.page.url()).origin;
    await this.page.goto(`${origin}${path}`);
    try {
      await this.page.locator('main h1').first().waitFor({ timeout: 20_000 });
      await this.page.waitForFunction(() => document.querySelector('.loading') === null, undefined, {
        timeout: 20_000,
      });
    } catch (cause) {
      throw new Error(`${path} does not settle: ${await this.page.locator('main').innerText()}`, { cause });
    }
  }

  /** What axe finds wrong, by WCAG 2.2 AA and good practice. */
  async axe(): Promise<string[]> {
    await this.page.evaluate(axeSource);
    return await this.page.evaluate(async () => {
      interface Found {
        readonly id: string;
        readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
      }
      const { axe } = globalThis as unknown as {
        axe: { run: (options: object) => Promise<{ violations: readonly Found[] }> };
      };
      const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
      const { violations } = await axe.run({ runOnly: { type: 'tag', values: tags } });
      return violations.flatMap(({ id, nodes }) =>
        nodes.slice(0, 3).map(({ html, failureSummary }) => `${id}: ${html.slice(0, 160)} ${failureSummary ?? ''}`),
      );
    });
  }

  async close(): Promise<void> {
    await this.page.context().close();
  }
}
