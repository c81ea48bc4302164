import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { animate, decode, type Shot } from '../../tools/apng';

const PICTURE = readFileSync(join(__dirname, '../../docs/demo.png'));

const BLACK = [0, 0, 0, 255];
const WHITE = [255, 255, 255, 255];
const RED = [255, 0, 0, 255];

/** A shot with one row of pixels. */
function shot(...pixels: number[][]): Shot {
  return { width: pixels.length, height: 1, ms: 500, pixels: Buffer.from(pixels.flat()) };
}

/** The areas of the frames from their `fcTL` chunks, each with its delay in milliseconds. */
function framesOf(png: Buffer) {
  const frames = [];
  for (let at = png.indexOf('fcTL'); at !== -1; at = png.indexOf('fcTL', at + 1)) {
    const [width, height, left, top] = [8, 12, 16, 20].map((offset) => png.readUInt32BE(at + offset));
    frames.push({ width, height, left, top, ms: png.readUInt16BE(at + 24) });
  }
  return frames;
}

describe('animate()', () => {
  it('starts with the complete first shot, for viewers without animation', () => {
    const first = shot(WHITE, BLACK, RED);

    const { width, height, pixels } = decode(animate([first, shot(WHITE, BLACK, BLACK)]));

    expect({ width, height, pixels: [...pixels] }).toEqual({
      width: 3,
      height: 1,
      pixels: [...first.pixels],
    });
  });

  it('stores only the changed area of each later shot', () => {
    const png = animate([shot(WHITE, BLACK, BLACK, WHITE), shot(WHITE, RED, RED, WHITE)]);

    expect(framesOf(png)).toEqual([
      { width: 4, height: 1, left: 0, top: 0, ms: 500 },
      { width: 2, height: 1, left: 1, top: 0, ms: 500 },
    ]);
  });

  it('stores one pixel, with its delay, for a shot without changes', () => {
    const png = animate([shot(WHITE, BLACK), shot(WHITE, BLACK)]);

    expect(framesOf(png)[1]).toEqual({ width: 1, height: 1, left: 0, top: 0, ms: 500 });
  });
});

describe('docs/demo.png', () => {
  it('shows the demo for several seconds in at most 600 KiB', () => {
    const frames = framesOf(PICTURE);

    expect(frames[0]).toMatchObject({ width: 1248, height: 930 });
    expect(frames.length).toBeGreaterThan(10);
    expect(PICTURE.length).toBeLessThan(600 * 1024);
  });
});
