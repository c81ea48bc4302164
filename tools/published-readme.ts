/**
 * npm shows README.md, but none of the files to which its relative links lead. `prepack` makes the links absolute, to the
 * repository at the tag of the version, and `postpack` restores the file.
 *
 * @example
 * tsx tools/published-readme.ts prepare
 * tsx tools/published-readme.ts restore
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The fields of package.json that this needs. */
export interface PublishedPackage {
  readonly version: string;
  readonly repository: { readonly url: string };
}

/** A link or an image of Markdown, without absolute URLs and without links within the page. */
const RELATIVE_LINK = /(!?)(\[[^\]]*\])\((?![a-z]+:|#)([^)\s]+)\)/g;

/** Such as `owner/express-yield`, from the URL of the repository. */
export function repositoryName({ repository }: PublishedPackage): string {
  const name = /github\.com\/([\w.-]+\/[\w-]+)\.git$/.exec(repository.url)?.[1];
  if (name === undefined)
    throw new Error(`Expected repository.url to be a repository on GitHub, got '${repository.url}'.`);
  return name;
}

/** The text with absolute links; images lead to the file itself. */
export function withAbsoluteLinks(markdown: string, manifest: PublishedPackage): string {
  const at = `${repositoryName(manifest)}/%/v${manifest.version}`;
  return markdown.replace(RELATIVE_LINK, (_link, image: string, text: string, path: string) => {
    const base = image === '' ? 'https://github.com/' : 'https://raw.githubusercontent.com/';
    const folder = image === '' ? at.replace('%', 'blob') : at.replace('/%', '');
    return `${image}${text}(${base}${folder}/${path})`;
  });
}

const ROOT = join(__dirname, '..');
const README = join(ROOT, 'README.md');
const ORIGINAL = join(ROOT, 'README.original.md');

function prepare(): void {
  if (existsSync(ORIGINAL)) throw new Error(`${ORIGINAL} exists: run 'restore' first.`);
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as PublishedPackage;
  const absolute = withAbsoluteLinks(readFileSync(README, 'utf8'), manifest);
  renameSync(README, ORIGINAL);
  writeFileSync(README, absolute);
}

function restore(): void {
  if (existsSync(ORIGINAL)) renameSync(ORIGINAL, README);
}

const [, program, task] = process.argv;
if (program === __filename) {
  if (task === 'prepare') prepare();
  else if (task === 'restore') restore();
  else throw new Error(`Expected 'prepare' or 'restore', got '${task}'.`);
}
