declare module 'launchdarkly-eventsource' {
  import type { EventEmitter } from 'node:events';

  interface Emitted {
    readonly type: string;
    readonly data?: string;
    readonly lastEventId?: string;
    readonly status?: number;
    readonly delayMillis?: number;
  }

  export class EventSource extends EventEmitter {
    constructor(url: string, init?: Record<string, unknown>);
    addEventListener(type: string, listener: (event: Emitted) => void): void;
    close(): void;
  }
}
