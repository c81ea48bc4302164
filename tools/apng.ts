import { crc32, deflateSync } from 'node:zlib';
import { PNG } from 'pngjs';

// Our own writer: no library for animated PNGs is maintained. `upng-js`, the one in use, was last published in 2017.

/** Pixels of four bytes each: red, green, blue and opacity. */
export interface Raster {
  readonly width: number;
  readonly height: number;
  readonly pixels: Buffer;
}

export interface Shot extends Raster {
  /** How long it is shown. */
  readonly ms: number;
}

interface Rectangle {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** PNG 3, 11.2.1: the colour type of pixels with red, green, blue and opacity. */
const RGBA = 6;

/** Reads a PNG. Of each colour only the upper five bits are kept: the others are hardly visible, and cost a third of the size. */
export function decode(png: Buffer): Raster {
  const { width, height, data: pixels } = PNG.sync.read(png);
  for (let at = 0; at < pixels.length; at++) {
    const value = pixels[at] ?? 0;
    if (at % 4 !== 3) pixels[at] = (value & 0xf8) | (value >> 5);
  }
  return { width, height, pixels };
}

/** Makes an animated PNG that repeats without end. Every shot after the first holds only the pixels that have changed. */
export function animate(shots: readonly Shot[]): Buffer {
  const [first] = shots;
  if (first === undefined) throw new Error('Expected at least one shot.');
  const frames = shots.flatMap((shot, index) => frameOf(shot, shots[index - 1]));
  let sequence = 0;
  const body = frames.flatMap(({ area, ms, data }, index) => [
    chunk('fcTL', frameControl(sequence++, area, ms)),
    index === 0 ? chunk('IDAT', data) : chunk('fdAT', Buffer.concat([uint32(sequence++), data])),
  ]);
  const head = Buffer.concat([uint32(first.width), uint32(first.height), Buffer.from([8, RGBA, 0, 0, 0])]);
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', head),
    chunk('acTL', Buffer.concat([uint32(frames.length), uint32(0)])),
    ...body,
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

interface Frame {
  readonly area: Rectangle;
  readonly ms: number;
  readonly data: Buffer;
}

function frameOf(shot: Shot, before: Raster | undefined): Frame {
  const area = changed(shot, before);
  const width = area.right - area.left;
  const lines: Buffer[] = [];
  for (let y = area.top; y < area.bottom; y++) {
    const line = Buffer.alloc(1 + width * 4);
    const at = (y * shot.width + area.left) * 4;
    for (let x = 0; x < width * 4; x += 4) {
      if (before !== undefined && isSame(shot, before, at + x)) continue;
      shot.pixels.copy(line, 1 + x, at + x, at + x + 4);
    }
    lines.push(line);
  }
  return { area, ms: shot.ms, data: deflateSync(Buffer.concat(lines), { level: 9 }) };
}

/** The smallest rectangle around all changes; one pixel if nothing has changed. */
function changed(shot: Raster, before: Raster | undefined): Rectangle {
  const { width, height } = shot;
  if (before === undefined) return { left: 0, top: 0, right: width, bottom: height };
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (isSame(shot, before, (y * width + x) * 4)) continue;
      left = Math.min(left, x);
      right = Math.max(right, x + 1);
      top = Math.min(top, y);
      bottom = y + 1;
    }
  }
  return right === 0 ? { left: 0, top: 0, right: 1, bottom: 1 } : { left, top, right, bottom };
}

function isSame(a: Raster, b: Raster, at: number): boolean {
  return a.pixels.readUInt32LE(at) === b.pixels.readUInt32LE(at);
}

/** PNG 3, 11.3.6.2. Where a frame is transparent, the previous frame stays visible. */
function frameControl(sequence: number, { left, top, right, bottom }: Rectangle, ms: number): Buffer {
  const delay = Buffer.alloc(6);
  delay.writeUInt16BE(Math.round(ms), 0);
  delay.writeUInt16BE(1_000, 2);
  delay.writeUInt8(1, 5);
  return Buffer.concat([...[sequence, right - left, bottom - top, left, top].map(uint32), delay]);
}

function chunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  return Buffer.concat([uint32(data.length), named, uint32(crc32(named))]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
