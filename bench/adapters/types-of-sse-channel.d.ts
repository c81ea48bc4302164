/** The package has no types; these are for the part that is used here. */
declare module 'sse-channel' {
  import type { IncomingMessage, ServerResponse } from 'node:http';

  interface Message {
    readonly data: unknown;
    readonly event?: string;
  }

  class SseChannel {
    constructor(options: { readonly jsonEncode?: boolean; readonly pingInterval?: number });
    addClient(req: IncomingMessage, res: ServerResponse): void;
    send(message: Message, clients?: readonly ServerResponse[]): void;
    getConnectionCount(): number;
    close(): void;
  }

  export = SseChannel;
}
