import { createHash } from 'node:crypto';
import type { CommandDriver } from './drivers';
import { replyCode } from './reply-code';

/**
 * A script that is sent by its hash, and by its text if Redis does not know it. Only for calls that wait for each other: of two
 * that are in flight, Redis could refuse the first and accept the second, because another process has loaded the script
 * meanwhile.
 */
export class Script {
  readonly #text: string;
  readonly #sha: string;

  constructor(text: string) {
    this.#text = text;
    this.#sha = createHash('sha1').update(text).digest('hex');
  }

  /** @param keys at least one; all in one slot */
  async run(driver: CommandDriver, keys: readonly string[], values: readonly string[]): Promise<unknown> {
    const [key = ''] = keys;
    const rest = [String(keys.length), ...keys, ...values];
    try {
      return await driver.send(key, ['EVALSHA', this.#sha, ...rest]);
    } catch (error) {
      if (!isNotRun(error)) throw error;
    }
    return driver.send(key, ['EVAL', this.#text, ...rest]);
  }
}

/** Whether Redis does not know the script, or allows only EVAL to this user. */
function isNotRun(error: unknown): boolean {
  const code = replyCode(error);
  return code === 'NOSCRIPT' || (code === 'NOPERM' && String(error).includes("'evalsha'"));
}
