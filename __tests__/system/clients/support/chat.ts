import type { FetchClient } from './fetch-client';

/** What OpenAI's SDK, and those that use it, request. */
export const CHAT = {
  method: 'post',
  path: '/v1/chat/completions',
} as const satisfies Partial<FetchClient>;

export const MESSAGES = [{ role: 'user' as const, content: 'Hi' }];

/** The status of the response in an error of an SDK. */
export function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  for (const name of ['status', 'statusCode', 'code']) {
    const value: unknown = Reflect.get(error, name);
    if (typeof value === 'number') return value;
  }
  const response: unknown = Reflect.get(error, 'response');
  return response === undefined ? undefined : statusOf(response);
}
