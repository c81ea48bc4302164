import { CERTIFICATE, type Place, type ProxyKind } from './proxy';

export interface NginxOptions {
  /** To the client, over TLS; HTTP/1.1 otherwise. */
  readonly http2?: boolean;
  /** A `proxy_pass` and nothing else: HTTP/1.0 to the app, and a connection for each request. */
  readonly isBare?: boolean;
  /** Compress event streams, whatever they say of it. */
  readonly gzip?: boolean;
}

/** nginx with its defaults, so with `proxy_buffering on`, and HTTP/1.1 with kept connections to the app. */
export function nginx(options: NginxOptions = {}): ProxyKind {
  return {
    command: 'nginx',
    isSecure: options.http2 ?? false,
    args: (configFile, folder) => ['-p', folder, '-c', configFile, '-e', 'stderr'],
    config: (place) => configOf(place, options),
  };
}

function configOf({ port, appPort, folder }: Place, { http2, isBare, gzip }: NginxOptions): string {
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
