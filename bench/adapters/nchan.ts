import { execFileSync } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CORES, PINNED } from '../../tools/cores';
import type { Serve } from '../adapter';
import { listen } from '../listen';
import { NchanAudience } from './nchan-audience';
import { findNchan } from './nchan-program';
import { startNginx } from './nchan-server';
import { queryOf } from './query';

/**
 * nginx serves, with one worker on the servers' core. This process moves to the other core: it is the application that
 * nginx notifies of each subscriber, and that publishes over HTTP. Only nginx is measured.
 */
export const serve: Serve = async (routes, broadcasts) => {
  const nginx = findNchan();
  if (nginx === undefined) throw new Error('Expected nginx with nchan to be installed.');
  if (PINNED) execFileSync('taskset', ['-acp', String(CORES.client), String(process.pid)]);
  const shared = routes.filter(({ run }) => run === 'shared');
  let port = 0;
  const broadcastsByPath = new Map(
    shared.map(({ path, source }) => [path, broadcasts.of(source, () => new NchanAudience(port, path))]),
  );
  const application = createServer((req, res) => {
    const { path, query } = queryOf(req.url ?? '');
    broadcastsByPath.get(path)?.audienceFor({ query }).add(query.symbol);
    res.end();
  });
  await listen(application);
  const { port: ownPort } = application.address() as AddressInfo;
  const server = await startNginx(nginx, ownPort, shared);
  port = server.port;
  return server;
};
