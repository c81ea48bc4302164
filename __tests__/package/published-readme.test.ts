import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryName, withAbsoluteLinks } from '../../tools/published-readme';

const ROOT = join(__dirname, '../..');
const MANIFEST = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const REPOSITORY = {
  version: '1.2.3',
  repository: { url: 'git+https://github.com/someone/express-yield.git' },
};

describe('the README on npm', () => {
  it('has an absolute link for each relative one, to a file of the repository', () => {
    const published = withAbsoluteLinks(readFileSync(join(ROOT, 'README.md'), 'utf8'), MANIFEST);
    const blob = `https://github.com/${repositoryName(MANIFEST)}/blob/v${MANIFEST.version}/`;
    const paths = [...published.matchAll(/\]\((.*?)\)/g)]
      .map(([, url = '']) => url)
      .filter((url) => url.startsWith(blob))
      .map((url) => url.slice(blob.length).replace(/#.*/, ''));

    expect(published.match(/\]\((?!https?:|#)[^)]*\)/g)).toBeNull();
    expect(paths.length).toBeGreaterThan(20);
    expect(paths.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  it.each([
    ['a page', '[a](docs/a.md)', '[a](https://github.com/someone/express-yield/blob/v1.2.3/docs/a.md)'],
    ['a section', '[a](A.md#b)', '[a](https://github.com/someone/express-yield/blob/v1.2.3/A.md#b)'],
    [
      'an image',
      '![a](docs/a.png)',
      '![a](https://raw.githubusercontent.com/someone/express-yield/v1.2.3/docs/a.png)',
    ],
    ['a section of the same page', '[a](#b)', '[a](#b)'],
    ['an absolute link', '[a](https://a.example/b)', '[a](https://a.example/b)'],
  ])('has %s', (_what, markdown, published) => {
    expect(withAbsoluteLinks(markdown, REPOSITORY)).toBe(published);
  });

  it('is not made for a repository of another form', () => {
    expect(() => repositoryName({ ...REPOSITORY, repository: { url: 'somewhere' } })).toThrow("'somewhere'");
  });
});

describe('package.json', () => {
  it('names the same repository in repository, homepage and bugs', () => {
    const name = repositoryName(MANIFEST);

    expect(MANIFEST.homepage).toBe(`https://github.com/${name}#readme`);
    expect(MANIFEST.bugs).toEqual({ url: `https://github.com/${name}/issues` });
  });
});
