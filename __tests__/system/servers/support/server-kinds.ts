import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import type { Controller, Get, Module, Next, Req, Res } from '@nestjs/common';
import type { NestFactory } from '@nestjs/core';
import type connect from 'connect';
import type { ErrorRequestHandler, Express, RequestHandler } from 'express';
import type fastify from 'fastify';
import type { FastifyPluginCallback } from 'fastify';
import { nativeImporter } from '../../../support/native-import';
import type { ServerTour } from './server-tour';

const WORKSPACE = resolve(__dirname, '..');
const ROOT = resolve(WORKSPACE, '../../..');

/** The server of a tour. Below `/wrapped` its routes are wrapped, below `/plain` they follow `app.use(sse())`. */
export interface TourServer {
  readonly url: string;
  /** Stops listening, and resolves when no connection is open. */
  close(): Promise<unknown>;
}

export interface ServerKind {
  readonly name: string;
  /** Packages in the order of their dependence, each with the beginning of the version that the tour is for. */
  readonly packages: ReadonlyArray<readonly [name: string, version: string]>;
  /** The folder of the code that imports the first package. */
  readonly folder: string;
  /** What `app.use(sse())` does: `none` if the framework calls its handlers itself. */
  readonly middleware: 'streams' | 'refuses' | 'none';
  start(tour: ServerTour): Promise<TourServer>;
}

export const SERVER_KINDS: readonly ServerKind[] = [
  expressKind('4.22'),
  expressKind('5.0', '2.0'),
  expressKind('5.1', '2.2'),
  expressKind('5.2', '2.3'),
  expressKind('5.3', '2.3'),
  {
    name: 'connect 3.7',
    packages: [['connect', '3.7.']],
    folder: WORKSPACE,
    middleware: 'refuses',
    start: startConnect,
  },
  {
    name: 'functions-framework 5.0',
    packages: [['@google-cloud/functions-framework', '5.0.']],
    folder: WORKSPACE,
    middleware: 'streams',
    start: startFunction,
  },
  {
    name: 'Fastify 5 with @fastify/express 4',
    packages: [
      ['@fastify/express', '4.'],
      ['express', '5.'],
    ],
    folder: WORKSPACE,
    middleware: 'streams',
    start: startFastify,
  },
  nestKind('11', WORKSPACE),
  nestKind('12', ROOT),
];

/** The folder of a package that a file of `folder` imports. */
function folderOf(name: string, folder: string): string {
  for (let parent = folder; ; parent = resolve(parent, '..')) {
    const path = join(parent, 'node_modules', name);
    if (existsSync(join(path, 'package.json'))) return path;
    if (parent === resolve(parent, '..')) throw new Error(`Expected ${name} to be installed. Run npm ci.`);
  }
}

/** The installed versions of the packages of a kind. */
export function installedVersions({ packages, folder }: ServerKind): string[] {
  let importer = folder;
  return packages.map(([name]) => {
    importer = folderOf(name, importer);
    return (JSON.parse(readFileSync(join(importer, 'package.json'), 'utf8')) as { version: string }).version;
  });
}

async function load<Module>(name: string, folder = WORKSPACE): Promise<Module> {
  return (await nativeImporter(folder)(name)) as Module;
}

/** @param router the version of its router; Express 4 contains one */
function expressKind(version: string, router?: string): ServerKind {
  const name = `express${version}`;
  const withRouter = router === undefined ? '' : ` with router ${router}`;
  return {
    name: `Express ${version}${withRouter}`,
    packages: [[name, `${version}.`], ...(router === undefined ? [] : [['router', `${router}.`] as const])],
    folder: WORKSPACE,
    middleware: router === '2.3' ? 'streams' : 'refuses',
    start: async (tour) => {
      const { default: express } = await load<{ default: () => Express }>(name);
      return listen(createServer(build(express(), tour)));
    },
  };
}

/** Answers with the status and the code of an error. */
const onError: ErrorRequestHandler = (error, _req, res, _next) => {
  res.statusCode = error.status ?? 500;
  res.end(JSON.stringify({ code: error.code }));
};

function build(app: Express, tour: ServerTour): Express {
  app.use('/plain', tour.sse());
  for (const [path, handler] of tour.handlers) {
    app.get(`/wrapped${path}`, tour.sse(handler) as RequestHandler);
    app.get(`/plain${path}`, handler as unknown as RequestHandler);
  }
  return app.use(onError);
}

async function startConnect(tour: ServerTour): Promise<TourServer> {
  const { default: create } = await load<{ default: typeof connect }>('connect');
  const app = create().use('/plain', tour.sse());
  for (const [path, handler] of tour.handlers) app.use(`/wrapped${path}`, tour.sse(handler));
  app.use(onError as unknown as connect.ErrorHandleFunction);
  return listen(createServer(app));
}

/** A function that is a wrapped handler, or an Express app. */
async function startFunction(tour: ServerTour): Promise<TourServer> {
  const framework = await load<typeof import('@google-cloud/functions-framework')>(
    '@google-cloud/functions-framework',
  );
  const testing = await load<{ getTestServer: (name: string) => Server }>(
    '@google-cloud/functions-framework/testing',
  );
  const { default: express } = await load<{ default: () => Express }>('express');
  const app = build(express(), tour);
  const wrapped = new Map(tour.handlers.map(([path, handler]) => [`/wrapped${path}`, tour.sse(handler)]));
  framework.http('tour', (req, res) => {
    const handler = wrapped.get(req.path) ?? (app as unknown as RequestListener);
    handler(req, res);
  });
  return listen(testing.getTestServer('tour'));
}

async function startFastify(tour: ServerTour): Promise<TourServer> {
  const { default: create } = await load<{ default: typeof fastify }>('fastify');
  const { default: plugin } = await load<{ default: FastifyPluginCallback }>('@fastify/express');
  const { default: express } = await load<{ default: () => Express }>('express');
  const server = create();
  await server.register(plugin);
  (server as unknown as { use(app: Express): void }).use(build(express(), tour));
  const url = await server.listen({ port: 0, host: '127.0.0.1' });
  return { url, close: () => server.close() };
}

interface Nest {
  readonly common: {
    Controller: typeof Controller;
    Get: typeof Get;
    Module: typeof Module;
    Next: typeof Next;
    Req: typeof Req;
    Res: typeof Res;
  };
  readonly core: { NestFactory: typeof NestFactory };
}

function nestKind(version: string, folder: string): ServerKind {
  return {
    name: `NestJS ${version}`,
    packages: [['@nestjs/core', `${version}.`]],
    folder,
    middleware: 'none',
    start: async (tour) => {
      await load('reflect-metadata', folder);
      const common = await load<Nest['common']>('@nestjs/common', folder);
      const core = await load<Nest['core']>('@nestjs/core', folder);
      const app = await core.NestFactory.create(nestModule(common, tour), { logger: false });
      await app.listen(0, '127.0.0.1');
      return { url: await app.getUrl(), close: () => app.close() };
    },
  };
}

/** A module with one controller, which has a method for each handler. Decorators are functions, so they need no syntax. */
function nestModule(
  { Controller, Get, Module, Next, Req, Res }: Nest['common'],
  tour: ServerTour,
): new () => object {
  class TourController {}
  for (const [path, handler] of tour.handlers) {
    const wrapped = tour.sse(handler);
    const value = (req: never, res: never, next: never) => wrapped(req, res, next);
    Object.defineProperty(TourController.prototype, path, { value });
    for (const [index, decorate] of [Req(), Res(), Next()].entries())
      decorate(TourController.prototype, path, index);
    Get(`/wrapped${path}`)(TourController.prototype, path, { value });
  }
  Controller()(TourController);
  class TourModule {}
  Module({ controllers: [TourController] })(TourModule);
  return TourModule;
}

async function listen(server: Server): Promise<TourServer> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.close();
      server.closeIdleConnections();
      await once(server, 'close');
    },
  };
}
