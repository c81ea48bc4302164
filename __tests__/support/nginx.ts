import { type Binding, CERTIFICATE, type ProxyKind } from './proxy';

export interface NginxOptions {
  /** HTTP/2 over TLS to the client; otherwise HTTP/1.1. */
  readonly http2?: boolean;
  /** A `proxy_pass` and nothing else: HTTP/1.0 to the app, with a new connection for each request. */
  readonly isBare?: boolean;
  /** Compresses event streams, even with `no-transform`. */
  readonly gzip?: boolean;
}

/** nginx with its defaults (`proxy_buffering on`), and HTTP/1.1 with persistent connections to the app. */
export function nginx(options: NginxOptions = {}): ProxyKind {
  return {
    command: 'nginx',
    isSecure: options.http2 ?? false,
    args: (configFile, folder) => ['-p', folder, '-c', configFile, '-e', 'stderr'],
    config: (binding) => configOf(binding, options),
  };
}

function configOf({ port, appPort, folder }: Binding, { http2, isBare, gzip }: NginxOptions): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `
daemon off;
pid ${folder}/nginx.pid;
worker_processes 1;
${process.getuid?.() === 0 ? 'user root;' : ''}
events {}
http {
  access_log off;
  ${paths.map((path) => `${path}_temp_path ${folder}/${path};`).join('\n  ')}
  ${gzip ? 'gzip on; gzip_types text/event-stream;' : ''}
  upstream app {
    server 127.0.0.1:${appPort};
    ${isBare ? '' : 'keepalive 8;'}
  }
  server {
    listen 127.0.0.1:${port}${http2 ? ' ssl http2' : ''};
    ${http2 ? `ssl_certificate ${CERTIFICATE}; ssl_certificate_key ${CERTIFICATE};` : ''}
    location / {
      proxy_pass http://app;
      ${isBare ? 'proxy_http_version 1.0;' : 'proxy_http_version 1.1; proxy_set_header Connection "";'}
    }
  }
}
`;
}
