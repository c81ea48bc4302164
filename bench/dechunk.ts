const CR = 0x0d;
const LF = 0x0a;

/** Decodes the chunks of a body (RFC 9112 7.1). Written for speed, so that the client does not limit the measurement. */
export class Dechunker {
  /** Whether the last chunk has arrived. */
  ended = false;
  /** How many bytes of the current chunk are missing. */
  #left = 0;
  #size = 0;
  #digits = 0;

  /** @returns the part of the body in these bytes, moved to their start */
  take(bytes: Buffer): Buffer {
    let read = 0;
    let kept = 0;
    while (read < bytes.length) {
      if (this.#left === 0) {
        read = this.#readSize(bytes, read);
        continue;
      }
      const length = Math.min(this.#left, bytes.length - read);
      bytes.copyWithin(kept, read, read + length);
      this.#left -= length;
      read += length;
      kept += length;
    }
    return bytes.subarray(0, kept);
  }

  /** Reads to the end of a line: that of a size, or the empty one after a chunk. */
  #readSize(bytes: Buffer, from: number): number {
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at] as number;
      if (byte === LF) {
        this.#endSize();
        return at + 1;
      }
      if (byte === CR) continue;
      this.#size = this.#size * 16 + hexOf(byte);
      this.#digits++;
    }
    return bytes.length;
  }

  #endSize(): void {
    if (this.#digits > 0 && this.#size === 0) this.ended = true;
    this.#left = this.#size;
    this.#size = 0;
    this.#digits = 0;
  }
}

function hexOf(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  if (letter >= 0x61 && letter <= 0x66) return letter - 0x61 + 10;
  throw new Error(`Expected the size of a chunk, got byte ${byte}.`);
}
