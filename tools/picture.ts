import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { chromium, type Page } from 'playwright-core';
import { createApp } from '../demo/app';
import { listen } from '../demo/listen';
import { backingInMemory } from '../demo/memory';
import { animate, decode, type Shot } from './apng';
import { findProgram } from './program';

const PICTURE = join(__dirname, '../docs/demo.png');

/** In CSS pixels. */
const VIEWPORT = { width: 1280, height: 1320 };

/** The cards without the headline: in the README, the picture follows a headline. */
const CLIP = { x: 16, y: 300, width: 1248, height: 930 };

/** Time between the starts of two shots. */
const INTERVAL_MS = 500;
/** How long the last shot is shown before the animation starts again. */
const LAST_MS = 4_000;

/** Records the page from a job's start over a dropped connection to its end. */
async function record(page: Page): Promise<Shot[]> {
  const shots: Array<{ png: Buffer; at: number }> = [];
  const shoot = async () => {
    const at = performance.now();
    shots.push({ png: await page.screenshot({ clip: CLIP, animations: 'disabled', caret: 'hide' }), at });
    await setTimeout(Math.max(0, at + INTERVAL_MS - performance.now()));
  };
  const shootUntil = async (selector: string) => {
    while (!(await page.locator(selector).first().isVisible())) await shoot();
  };
  await shoot();
  await page.locator('#start').click();
  await shootUntil('.progress i:nth-child(10)[data-connection]');
  await page.locator('#drop').click();
  await page.locator('#drop-chart').click();
  await shootUntil('.story .done');
  await shoot();
  return shots.map(({ png, at }, index) => ({
    ...decode(png),
    ms: (shots[index + 1]?.at ?? at + LAST_MS) - at,
  }));
}

/** Serves the demo in this process. */
async function serveDemo() {
  const backing = backingInMemory();
  const server = await listen(createApp(backing), 0);
  const close = async () => {
    await server.close();
    await backing.close();
  };
  return { url: server.url, close };
}

async function main(): Promise<void> {
  const executablePath =
    process.env.CHROMIUM_PATH || findProgram('chromium', 'chromium-browser', 'google-chrome');
  if (executablePath === undefined) throw new Error('The picture needs chromium on PATH, or CHROMIUM_PATH.');
  const demo = await serveDemo();
  const browser = await chromium.launch({ executablePath, chromiumSandbox: process.getuid?.() !== 0 });
  try {
    const page = await browser.newPage({ viewport: VIEWPORT, deviceScaleFactor: 1, colorScheme: 'light' });
    await page.goto(demo.url);
    // Waits until the chart is full of prices.
    await page.waitForFunction("Number(document.querySelector('[data-count=events]').textContent) > 100");
    const shots = await record(page);
    const picture = animate(shots);
    writeFileSync(PICTURE, picture);
    console.log(`docs/demo.png: ${shots.length} shots, ${Math.round(picture.length / 1024)} KiB`);
  } finally {
    await browser.close();
    await demo.close();
  }
}

void main();
