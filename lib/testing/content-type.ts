/** Of a response's headers, what decides how it is read. */
export interface ContentType {
  readonly 'content-type'?: string;
}

/** As in a browser: anything else has no events. */
export function isEventStream(status = 0, headers: ContentType = {}): boolean {
  return status === 200 && /^text\/event-stream\s*(;|$)/i.test(headers['content-type'] ?? '');
}
