import { type ContentType, isEventStream } from './content-type';

export const UNTIL = 'an event for which the predicate returns true';
export const THE_END = 'the end of the response';

export function eventCount(events: number): string {
  return `${events} more event${events === 1 ? '' : 's'}`;
}

/** Summarizes what was received, for the message of a wait that fails. */
export function summarize(
  { status, headers, text }: { status: number; headers: ContentType; text: string },
  events: number,
  takenEvents = 0,
): string {
  if (status === 0) return 'No response was received.';
  const type = headers['content-type'] ?? 'no content type';
  const got = isEventStream(status, headers)
    ? `${events} event${events === 1 ? '' : 's'}${takenEvents > 0 ? `, ${takenEvents} taken` : ''}`
    : 'which is not an event stream (200 text/event-stream)';
  const shown = text.length > 2_000 ? `… ${text.slice(-2_000)}` : text;
  return `Received: ${status} ${type}, ${got}${shown === '' ? '.' : `:\n${shown}`}`;
}
