import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CERTIFICATE, type Place, type ProxyKind } from './proxy';

const DOCS = join(__dirname, '../../docs');

/** What of a recipe's configuration is a place, and what it is in a test. */
type Replacements = ReadonlyArray<readonly [original: string, replacement: string]>;

/** nginx with `docs/nginx.conf`, and every path of it in the test's folder. */
export const recipeNginx: ProxyKind = {
  command: 'nginx',
  isSecure: true,
  args: (configFile, folder) => ['-p', folder, '-c', configFile, '-e', 'stderr', '-g', mainOf(folder)],
  config: (place) =>
    configured('nginx.conf', [
      ['http {', `http {\n  access_log off;\n  ${temporary(place)}`],
      ['listen 443 ', `listen 127.0.0.1:${place.port} `],
      ['server 127.0.0.1:3000;', `server 127.0.0.1:${place.appPort};`],
      ['/etc/nginx/tls/fullchain.pem', CERTIFICATE],
      ['/etc/nginx/tls/key.pem', CERTIFICATE],
    ]),
};

/** Caddy with `docs/caddy.Caddyfile`, a certificate that is there, and what it keeps in the test's folder. */
export const recipeCaddy: ProxyKind = {
  command: 'env',
  isSecure: true,
  args: (configFile, folder) =>
    `XDG_CONFIG_HOME=${folder} caddy run --adapter caddyfile --config ${configFile}`.split(' '),
  config: ({ port, appPort, folder }) =>
    configured('caddy.Caddyfile', [
      [
        'example.com {',
        `${globalOf(folder)}\nhttps://:${port} {\n\tbind 127.0.0.1\n\ttls ${CERTIFICATE} ${CERTIFICATE}`,
      ],
      ['127.0.0.1:3000', `127.0.0.1:${appPort}`],
    ]),
};

function mainOf(folder: string): string {
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  return `daemon off; pid ${folder}/nginx.pid; ${user}`;
}

function temporary({ folder }: Place): string {
  const names = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return names.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ');
}

/** Without its automatic HTTPS, for which Caddy would add a certificate to those that this machine trusts. */
function globalOf(folder: string): string {
  return `{\n\tadmin off\n\tauto_https off\n\tstorage file_system ${folder}\n}`;
}

/** The file of a recipe with each of these in another place; all else is as users have it. */
function configured(file: string, replacements: Replacements): string {
  let text = readFileSync(join(DOCS, file), 'utf8');
  for (const [original, replacement] of replacements) {
    const parts = text.split(original);
    if (parts.length !== 2) throw new Error(`Expected docs/${file} to have '${original}' once.`);
    text = parts.join(replacement);
  }
  return text;
}
