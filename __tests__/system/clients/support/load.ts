import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { nativeImporter } from '../../../support/native-import';

const WORKSPACE = resolve(__dirname, '..');

/** The modules that {@link load} can load. */
export interface Modules {
  '@a2a-js/sdk': typeof import('@a2a-js/sdk');
  '@a2a-js/sdk/client': typeof import('@a2a-js/sdk/client');
  '@ag-ui/client': typeof import('@ag-ui/client');
  '@ai-sdk/anthropic': typeof import('@ai-sdk/anthropic');
  '@ai-sdk/openai': typeof import('@ai-sdk/openai');
  '@ai-sdk/openai-compatible': typeof import('@ai-sdk/openai-compatible');
  '@anthropic-ai/sdk': typeof import('@anthropic-ai/sdk');
  '@langchain/langgraph-sdk': typeof import('@langchain/langgraph-sdk');
  '@langchain/openai': typeof import('@langchain/openai');
  '@modelcontextprotocol/client': typeof import('@modelcontextprotocol/client');
  '@modelcontextprotocol/sdk/client/index.js': typeof import('@modelcontextprotocol/sdk/client/index.js');
  '@modelcontextprotocol/sdk/client/streamableHttp.js': typeof import('@modelcontextprotocol/sdk/client/streamableHttp.js');
  '@modelcontextprotocol/sdk/types.js': typeof import('@modelcontextprotocol/sdk/types.js');
  ai: typeof import('ai');
  eventsource: typeof import('eventsource');
  'graphql-sse': typeof import('graphql-sse');
  ky: typeof import('ky');
  ofetch: typeof import('ofetch');
  openai: typeof import('openai');
  undici: typeof import('undici');
  undici8: typeof import('undici8');
}

const importNatively = nativeImporter(WORKSPACE);

/**
 * Imports a package of this workspace with Node's own loader, unmodified, as an application does. Jest's loader cannot
 * import the ES modules of most of these packages.
 */
export function load<Name extends keyof Modules>(name: Name): Promise<Modules[Name]> {
  return importNatively(name) as Promise<Modules[Name]>;
}

/** The installed version of a package of this workspace. */
export function versionOf(name: string): string {
  for (const folder of createRequire(join(WORKSPACE, 'index.js')).resolve.paths(name) ?? []) {
    const text = readIfExists(join(folder, name, 'package.json'));
    if (text !== undefined) return (JSON.parse(text) as { version: string }).version;
  }
  throw new Error(`Expected ${name} to be installed for ${dirname(WORKSPACE)}. Run npm ci.`);
}

function readIfExists(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
