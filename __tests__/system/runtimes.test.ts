import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { openStream } from '../../lib/testing';
import { installedProgram } from '../../tools/npm-program';
import { BUN, DENO } from '../../tools/runtimes';
import { describeWithProgram } from '../support/program';

const TOUR = join(__dirname, '../support/tour.mts');

interface State {
  readonly versions: Readonly<Record<string, string>>;
  readonly ticks: number;
  readonly finished: readonly string[];
  readonly codes: readonly unknown[];
  readonly pulled: number;
  readonly size: number;
  readonly subscribers: number;
}

/** The app of the tour, on one runtime. */
class Tour {
  static async start(program: string, args: readonly string[]): Promise<Tour> {
    const child = spawn(program, [...args, TOUR], { stdio: ['ignore', 'pipe', 'pipe'] });
    const tour = new Tour(child);
    const [port] = await Promise.race([once(createInterface(child.stdout), 'line'), tour.#exited()]);
    tour.url = `http://127.0.0.1:${port}`;
    return tour;
  }

  url = '';
  stderr = '';
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
  }

  async state(): Promise<State> {
    return (await (await fetch(`${this.url}/state`)).json()) as State;
  }

  /** Resolves with the first state that has the property. */
  async until(holds: (state: State) => boolean): Promise<State> {
    for (;;) {
      const state = await this.state();
      if (holds(state)) return state;
      await sleep(10);
    }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }

  async #exited(): Promise<never> {
    const [code] = await once(this.#child, 'exit');
    throw new Error(`The tour exited with ${code}: ${this.stderr}`);
  }
}

interface Runtime {
  readonly name: string;
  readonly version: string;
  readonly program: string | undefined;
  readonly args: readonly string[];
}

const RUNTIMES: readonly Runtime[] = [
  { name: 'Node', version: process.versions.node, program: process.execPath, args: ['--import', 'tsx'] },
  { name: 'Bun', version: BUN.version, program: installedProgram(BUN), args: [] },
  {
    name: 'Deno',
    version: DENO.version,
    program: installedProgram(DENO),
    args: ['run', '--allow-all', '--no-check', '--quiet'],
  },
];

for (const { name, version, program, args } of RUNTIMES) {
  describeWithProgram(program, `Install ${name} with: npx tsx tools/runtimes.ts`, `on ${name}`, () => {
    let tour: Tour;

    beforeAll(async () => {
      tour = await Tour.start(program ?? '', args);
    }, 30_000);
    afterAll(() => tour?.stop());

    it('is the runtime of the tour', async () => {
      const { versions } = await tour.state();

      expect(versions[name.toLowerCase()]).toBe(version);
    });

    it.each(['ticks', 'wrapped'])(
      'streams the generator of /%s, and runs finally when the client leaves',
      async (path) => {
        const client = await openStream(tour.url, `/${path}`);
        const [first, second] = await client.take(2);
        client.drop();

        expect([first?.data, second?.data]).toEqual([
          expect.stringMatching(new RegExp(`^${path} \\d+$`)),
          expect.stringMatching(new RegExp(`^${path} \\d+$`)),
        ]);
        const { codes, size } = await tour.until(({ finished }) => finished.includes(path));
        expect([codes.at(-1), size]).toEqual(['ERR_SSE_CLIENT_LEFT', 0]);
      },
    );

    it('sends the head and the frames of an event stream, the closing event, and a 204 afterwards', async () => {
      const client = await openStream(tour.url, '/finite');
      const text = await client.ended();

      expect(client.headers['content-type']).toBe('text/event-stream; charset=utf-8');
      expect(text).toBe('data: 1\n\nevent: end\nid: ~end\ndata: {"rows":1}\n\n');
      const again = await openStream(tour.url, '/finite', { headers: { 'Last-Event-ID': '~end' } });
      expect(again.status).toBe(204);
    });

    it('sends text of 1 to 4 bytes a character through a wrapped res.write, complete and in order', async () => {
      const client = await openStream(tour.url, '/unicode');

      const events = await client.take(2_000);

      expect(events.map(({ data }) => data)).toEqual(
        Array.from({ length: 2_000 }, (_, n) => `${n} é 日本 🚀`),
      );
      await client.ended();
    });

    it('answers with the status of an error before the first value', async () => {
      const client = await openStream(tour.url, '/unauthorized');

      expect(client.status).toBe(401);
      await client.close();
    });

    it('sends keep-alives', async () => {
      const client = await openStream(tour.url, '/waiting');

      expect(await client.untilText(': keep-alive\n\n: keep-alive\n\n')).toContain('data: first\n\n');
      client.drop();
      await tour.until(({ finished, size }) => finished.includes('waiting') && size === 0);
    });

    it('pulls no more values than a client accepts that does not read, and releases it', async () => {
      const client = await openStream(tour.url, '/flood');
      client.stall();
      let before = -1;
      let { pulled } = await tour.state();
      while (pulled !== before) {
        await sleep(200);
        before = pulled;
        pulled = (await tour.state()).pulled;
      }

      // Each value is 64 KiB, and the kernel holds a few MiB of a connection.
      expect(pulled).toBeLessThan(400);
      client.drop();
      await tour.until(({ finished, size }) => finished.includes('flood') && size === 0);
    });

    it('resumes a channel without loss or duplicates', async () => {
      const publish = (price: number) => fetch(`${tour.url}/prices/${price}`, { method: 'POST' });
      const client = await openStream(tour.url, '/prices');
      await tour.until(({ subscribers }) => subscribers === 1);
      await publish(1);
      await client.next();

      client.drop();
      await tour.until(({ subscribers }) => subscribers === 0);
      await publish(2);
      await publish(3);
      await client.reconnect();

      expect((await client.take(2)).map(({ data }) => data)).toEqual(['2', '3']);
      client.drop();
      await tour.until(({ subscribers, size }) => subscribers === 0 && size === 0);
    });

    it('streams the response to a POST, whose last value a fetch client receives', async () => {
      const response = await fetch(`${tour.url}/echo`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: '{"prompt":"hé"}',
      });

      expect(await response.text()).toBe('data: {"prompt":"hé"}\n\ndata: [DONE]\n\n');
    });

    it('compresses with compress: true', async () => {
      const response = await fetch(`${tour.url}/compressed`, {
        headers: { Accept: 'text/event-stream', 'Accept-Encoding': 'gzip' },
      });

      expect(response.headers.get('content-encoding')).toBe('gzip');
      expect(await response.text()).toBe(
        'data: 日本語 🚀\n\ndata: second\n\nevent: end\nid: ~end\ndata: null\n\n',
      );
    });

    it('ends all streams with sse.close()', async () => {
      const client = await openStream(tour.url, '/waiting');
      await client.next();

      const response = await fetch(`${tour.url}/close`, { method: 'POST' });

      expect(await response.json()).toBe(0);
      expect(await client.ended()).toContain('data: first\n\n');
      expect((await tour.state()).codes.at(-1)).toBe('ERR_SSE_CLOSING');
      expect(tour.stderr).toBe('');
    });
  });
}
