import { crc32, deflateSync, inflateSync } from 'node:zlib';

/** Pixels, four bytes each: red, green, blue and how opaque. */
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

// PNG 3, 11.2.1: colour types, and the bytes of a pixel in each.
const RGB = 2;
const RGBA = 6;

/** A PNG as Chromium writes it: eight bits a channel, not interlaced. */
export function decode(png: Buffer): Raster {
  const chunks = chunksOf(png);
  const head = chunks.find(({ type }) => type === 'IHDR')?.data ?? Buffer.alloc(13);
  const [width, height, depth, colour] = [head.readUInt32BE(0), head.readUInt32BE(4), head[8], head[9]];
  if (depth !== 8 || (colour !== RGB && colour !== RGBA)) throw new Error('Expected a PNG of a screenshot.');
  const body = Buffer.concat(chunks.filter(({ type }) => type === 'IDAT').map(({ data }) => data));
  const channels = colour === RGB ? 3 : 4;
  return {
    width,
    height,
    pixels: opaque(unfiltered(inflateSync(body), width * channels, channels), channels),
  };
}

function chunksOf(png: Buffer): Array<{ type: string; data: Buffer }> {
  const chunks = [];
  for (let at = SIGNATURE.length; at < png.length; ) {
    const length = png.readUInt32BE(at);
    const type = png.toString('latin1', at + 4, at + 8);
    chunks.push({ type, data: png.subarray(at + 8, at + 8 + length) });
    at += length + 12;
  }
  return chunks;
}

/** PNG 3, 9.2: each line tells in its first byte from which neighbours its bytes were predicted. */
function unfiltered(filtered: Buffer, stride: number, pixel: number): Buffer {
  const lines = filtered.length / (stride + 1);
  const out = Buffer.alloc(lines * stride);
  for (let line = 0; line < lines; line++) {
    const filter = filtered[line * (stride + 1)] ?? 0;
    for (let x = 0; x < stride; x++) {
      const at = line * stride + x;
      const left = x < pixel ? 0 : (out[at - pixel] ?? 0);
      const up = line === 0 ? 0 : (out[at - stride] ?? 0);
      const corner = x < pixel || line === 0 ? 0 : (out[at - stride - pixel] ?? 0);
      const predicted = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter] ?? 0;
      out[at] = (filtered[line * (stride + 1) + 1 + x] ?? 0) + predicted;
    }
  }
  return out;
}

/** PNG 3, 9.4: whichever neighbour is nearest to left + up - corner. */
function paeth(left: number, up: number, corner: number): number {
  const [fromLeft, fromUp] = [Math.abs(up - corner), Math.abs(left - corner)];
  const fromCorner = Math.abs(left + up - 2 * corner);
  if (fromLeft <= fromUp && fromLeft <= fromCorner) return left;
  return fromUp <= fromCorner ? up : corner;
}

/** Four channels, and of each colour the upper five bits: nobody sees the others, and they cost a third of the size. */
function opaque(pixels: Buffer, channels: number): Buffer {
  const out = Buffer.alloc((pixels.length / channels) * 4, 255);
  for (let from = 0, to = 0; from < pixels.length; from += channels, to += 4) {
    for (let channel = 0; channel < 3; channel++) {
      const value = pixels[from + channel] ?? 0;
      out[to + channel] = (value & 0xf8) | (value >> 5);
    }
  }
  return out;
}

/** An animated PNG that plays for ever. Of each shot but the first only what has changed is kept. */
export function animate(shots: readonly Shot[]): Buffer {
  const [first] = shots;
  if (first === undefined) throw new Error('Expected a shot at least.');
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

/** The smallest rectangle around all changes; a pixel if there are none. */
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

/** PNG 3, 11.3.6.2. What is transparent in a frame leaves what was there before. */
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
