/** The response header that decides whether the body is read as an event stream. */
export interface ContentType {
  readonly 'content-type'?: string;
}

/** Whether a browser would read events from the response. */
export function isEventStream(status = 0, headers: ContentType = {}): boolean {
  return status === 200 && /^text\/event-stream\s*(;|$)/i.test(headers['content-type'] ?? '');
}
