import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Binding, CERTIFICATE, type ProxyKind } from './proxy';

const DOCS = join(__dirname, '../../docs');

/** Paths and addresses in a recipe's configuration, each with its replacement in a test. */
type Replacements = ReadonlyArray<readonly [original: string, replacement: string]>;

/** nginx with `docs/nginx.conf`, whose paths are replaced by paths in the test's folder. */
export const recipeNginx: ProxyKind = {
  command: 'nginx',
  isSecure: true,
  args: (configFile, folder) => ['-p', folder, '-c', configFile, '-e', 'stderr', '-g', mainOf(folder)],
  config: (binding) =>
    configured('nginx.conf', [
      ['http {', `http {\n  access_log off;\n  ${temporary(binding)}`],
      ['listen 443 ', `listen 127.0.0.1:${binding.port} `],
      ['server 127.0.0.1:3000;', `server 127.0.0.1:${binding.appPort};`],
      ['/etc/nginx/tls/fullchain.pem', CERTIFICATE],
      ['/etc/nginx/tls/key.pem', CERTIFICATE],
    ]),
};

/** Caddy with `docs/caddy.Caddyfile`, the certificate of the tests, and its storage in the test's folder. */
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

function temporary({ folder }: Binding): string {
  const names = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return names.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ');
}

/** Turns automatic HTTPS off, because Caddy would add a certificate to the trust store of the machine. */
function globalOf(folder: string): string {
  return `{\n\tadmin off\n\tauto_https off\n\tstorage file_system ${folder}\n}`;
}

/** The file of a recipe with these replacements and otherwise unchanged. */
function configured(file: string, replacements: Replacements): string {
  let text = readFileSync(join(DOCS, file), 'utf8');
  for (const [original, replacement] of replacements) {
    const parts = text.split(original);
    if (parts.length !== 2) throw new Error(`Expected docs/${file} to contain '${original}' exactly once.`);
    text = parts.join(replacement);
  }
  return text;
}
