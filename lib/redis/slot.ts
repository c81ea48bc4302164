/** The number of slots of a cluster. */
export const SLOTS = 16_384;

/** The part of a key that decides on its slot: the text between the first braces, if there is any. */
function hashTag(key: string): string | undefined {
  const begin = key.indexOf('{');
  const end = key.indexOf('}', begin + 1);
  return begin === -1 || end === -1 || end === begin + 1 ? undefined : key.slice(begin + 1, end);
}

/** A second key in the slot of the first, as a script on a cluster needs. */
export function siblingKey(key: string, suffix: string): string {
  if (hashTag(key) !== undefined) return `${key}:${suffix}`;
  // A key with a brace that is not part of a hash tag cannot be one itself.
  return key.includes('}') ? `{${tagOf(slotOf(key))}}:${suffix}:${key}` : `{${key}}:${suffix}`;
}

/** The slot of a key on a cluster: the CRC-16 (XMODEM) of its hash tag or of the whole key, modulo 16,384. */
export function slotOf(key: string): number {
  let crc = 0;
  for (const byte of Buffer.from(hashTag(key) ?? key)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = ((crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021) & 0xffff;
  }
  return crc % SLOTS;
}

/** The tags that were searched for: at most one for each slot. */
const tags = new Map<number, string>();

/** The smallest number whose text is in a slot: the same in every process. */
function tagOf(slot: number): string {
  const known = tags.get(slot);
  if (known !== undefined) return known;
  let number = 0;
  while (slotOf(String(number)) !== slot) number++;
  tags.set(slot, String(number));
  return String(number);
}
