import { CERTIFICATE, type Place, type ProxyKind } from './proxy';

export interface HaproxyOptions {
  /** To the client, over TLS; HTTP/1.1 otherwise. */
  readonly http2?: boolean;
  /**
   * With the two options that event streams want. Without `abortonclose` HAProxy takes a client that leaves for one that
   * only has no more to say, until it writes to it. Without `http-no-delay` it lets the kernel wait 200 ms for more
   * whenever it writes a piece of an HTTP/1.1 response, so each event that comes alone is late.
   */
  readonly isAdvised?: boolean;
  /** Compress event streams that permit it. */
  readonly compression?: boolean;
}

/** HAProxy with its defaults, and the timeouts that it wants to be told. */
export function haproxy(options: HaproxyOptions = {}): ProxyKind {
  return {
    command: 'haproxy',
    isSecure: options.http2 ?? false,
    args: (configFile) => ['-db', '-f', configFile],
    config: (place) => configOf(place, options),
  };
}

function configOf({ port, appPort }: Place, { http2, isAdvised, compression }: HaproxyOptions): string {
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
