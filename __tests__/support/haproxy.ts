import { type Binding, CERTIFICATE, type ProxyKind } from './proxy';

export interface HaproxyOptions {
  /** HTTP/2 over TLS to the client; otherwise HTTP/1.1. */
  readonly http2?: boolean;
  /**
   * Sets the two options that event streams need. Without `abortonclose`, HAProxy treats a disconnected client as one
   * that has only finished sending, until it writes to it. Without `http-no-delay`, the kernel waits 200 ms for more
   * data after each write of an HTTP/1.1 response, which delays every single event.
   */
  readonly isAdvised?: boolean;
  /** Compresses event streams that permit it. */
  readonly compression?: boolean;
}

/** HAProxy with its defaults and the timeouts that it requires. */
export function haproxy(options: HaproxyOptions = {}): ProxyKind {
  return {
    command: 'haproxy',
    isSecure: options.http2 ?? false,
    args: (configFile) => ['-db', '-f', configFile],
    config: (binding) => configOf(binding, options),
  };
}

function configOf({ port, appPort }: Binding, { http2, isAdvised, compression }: HaproxyOptions): string {
  return `
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  ${isAdvised ? 'option abortonclose\n  option http-no-delay' : ''}
  ${compression ? 'compression algo gzip\n  compression type text/event-stream text/plain' : ''}

frontend clients
  bind 127.0.0.1:${port}${http2 ? ` ssl crt ${CERTIFICATE} alpn h2,http/1.1` : ''}
  default_backend app

backend app
  server app 127.0.0.1:${appPort}
`;
}
