import { RecentKeys } from '../../lib/log/recent-keys';

describe('RecentKeys', () => {
  it('remembers at least the newest keys, and at most twice as many', () => {
    const keys = new RecentKeys(10);
    const known: number[] = [];

    for (let n = 0; n < 1_000; n++) {
      keys.add(`key ${n}`, `id ${n}`);
      for (let newest = Math.max(0, n - 9); newest <= n; newest++) {
        expect(keys.idOf(`key ${newest}`)).toBe(`id ${newest}`);
      }
      known.push(Array.from({ length: n + 1 }, (_, i) => i).filter((i) => keys.idOf(`key ${i}`)).length);
    }

    expect(Math.max(...known)).toBeLessThanOrEqual(20);
  });
});
