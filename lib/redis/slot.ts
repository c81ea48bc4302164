/** The part of a key that decides on its slot: the text between the first braces, if there is any. */
function hashTag(key: string): string | undefined {
  const begin = key.indexOf('{');
  const end = key.indexOf('}', begin + 1);
  return begin === -1 || end === -1 || end === begin + 1 ? undefined : key.slice(begin + 1, end);
}

/**
 * A second key in the slot of the first, as a script on a cluster needs. A key with a `}` but without a hash tag has none:
 * only a cluster refuses it.
 */
export function siblingKey(key: string, suffix: string): string {
  return hashTag(key) === undefined && !key.includes('}') ? `{${key}}:${suffix}` : `${key}:${suffix}`;
}

/** The slot of a key on a cluster: the CRC-16 (XMODEM) of its hash tag or of the whole key, modulo 16,384. */
export function slotOf(key: string): number {
  let crc = 0;
  for (const byte of Buffer.from(hashTag(key) ?? key)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = ((crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021) & 0xffff;
  }
  return crc % 16_384;
}
