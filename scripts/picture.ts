import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { chromium, type Page } from 'playwright-core';
import { endDemos, ROOT, runDemo } from '../__tests__/support/demo';
import { findProgram } from '../__tests__/support/program';
import { animate, decode, type Shot } from './apng';

const PICTURE = join(ROOT, 'docs/demo.png');

/** In CSS pixels. */
const VIEWPORT = { width: 1280, height: 1320 };

/** The cards, without the headline above them: the picture stands below a headline. */
const CLIP = { x: 16, y: 300, width: 1248, height: 930 };

/** Between two shots; a shot itself takes some of it. */
const EVERY_MS = 500;
/** How long the last one stays, before it begins again. */
const LAST_MS = 4_000;

/** The page as it goes by, from a job's start over a dropped connection to its end. */
async function film(page: Page): Promise<Shot[]> {
  const shots: Array<{ png: Buffer; at: number }> = [];
  const shoot = async () => {
    const at = performance.now();
    shots.push({ png: await page.screenshot({ clip: CLIP, animations: 'disabled', caret: 'hide' }), at });
    await setTimeout(Math.max(0, at + EVERY_MS - performance.now()));
  };
  const until = async (selector: string) => {
    while (!(await page.locator(selector).first().isVisible())) await shoot();
  };
  await shoot();
  await page.locator('#start').click();
  await until('.progress i:nth-child(10)[data-connection]');
  await page.locator('#drop').click();
  await page.locator('#drop-chart').click();
  await until('.story .done');
  await shoot();
  return shots.map(({ png, at }, index) => ({
    ...decode(png),
    ms: (shots[index + 1]?.at ?? at + LAST_MS) - at,
  }));
}

async function main(): Promise<void> {
  const executablePath =
    process.env.CHROMIUM_PATH || findProgram('chromium', 'chromium-browser', 'google-chrome');
  if (executablePath === undefined) throw new Error('The picture needs chromium on PATH, or CHROMIUM_PATH.');
  const demo = runDemo('demo/server.ts', { PORT: '0' });
  const browser = await chromium.launch({ executablePath, chromiumSandbox: process.getuid?.() !== 0 });
  try {
    const page = await browser.newPage({ viewport: VIEWPORT, deviceScaleFactor: 1, colorScheme: 'light' });
    await page.goto(await demo.printed(/http:\S+/g));
    // The chart shows the last seconds, of which there must be some.
    await page.waitForFunction("Number(document.querySelector('[data-count=events]').textContent) > 100");
    const shots = await film(page);
    const picture = animate(shots);
    writeFileSync(PICTURE, picture);
    console.log(`docs/demo.png: ${shots.length} shots, ${Math.round(picture.length / 1024)} KiB`);
  } finally {
    await browser.close();
    await endDemos('SIGTERM');
  }
}

void main();
