import { type Browser, chromium, type Page } from 'playwright-core';
import { findProgram } from '../../tools/program';
import { describeWithProgram } from './program';

const COMMANDS = ['chromium', 'chromium-browser', 'google-chrome'];

const MISSING =
  `These tests need a real Chromium, but there is neither ${COMMANDS.join(', ')} on PATH nor CHROMIUM_PATH. ` +
  'Install one (apt install chromium, brew install --cask chromium), or set CHROMIUM_PATH.';

/** No background traffic, so that a server receives only the requests of the page. */
const ARGS = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export interface OpenOptions {
  /** The width of the window, in CSS pixels. */
  readonly width?: number;
  /** A script that runs in the page before its own scripts. */
  readonly script?: string;
}

/** Opens tabs, each with its own browser profile. */
export class Tabs {
  /** The errors in the consoles of the tabs. */
  readonly errors: string[] = [];
  #browser: Browser | undefined;

  async launch(executablePath: string): Promise<void> {
    this.#browser = await chromium.launch({
      executablePath,
      // The sandbox of Chromium does not work as root.
      chromiumSandbox: process.getuid?.() !== 0,
      args: ARGS,
    });
  }

  async open(url: string, { width = 1280, script = '' }: OpenOptions = {}): Promise<Page> {
    if (this.#browser === undefined) throw new Error('Cannot open a tab: Chromium has not been launched.');
    const page = await this.#browser.newPage({ viewport: { width, height: 800 } });
    page.on('pageerror', ({ message }) => this.errors.push(message));
    page.on('console', (message) => {
      if (message.type() === 'error') this.errors.push(message.text());
    });
    await page.addInitScript(script);
    await page.goto(url);
    return page;
  }

  /** Closes every tab and its connections. */
  async closeAll(): Promise<void> {
    for (const context of this.#browser?.contexts() ?? []) await context.close();
    this.errors.length = 0;
  }

  async quit(): Promise<void> {
    await this.#browser?.close();
  }
}

/**
 * A `describe` with a real Chromium. Without one, the tests are skipped with a warning; under `CI` they fail.
 * The tabs close before any `afterEach` of the tests, so that a server can assert that no client is connected.
 */
export function describeInChromium(name: string, tests: (tabs: Tabs) => void): void {
  const executablePath = findChromium();
  describeWithProgram(executablePath, MISSING, name, () => {
    const tabs = new Tabs();
    beforeAll(() => tabs.launch(executablePath ?? ''), 30_000);
    afterEach(() => tabs.closeAll());
    tests(tabs);
    afterAll(() => tabs.quit());
  });
}

function findChromium(): string | undefined {
  const given = process.env.CHROMIUM_PATH;
  return given === undefined || given === '' ? findProgram(...COMMANDS) : given;
}
