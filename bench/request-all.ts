import { connect } from 'node:net';
import { OTHER } from './other';

export interface Requesting {
  readonly port: number;
  readonly path: string;
  /** How many requests are sent, each after the previous answer. */
  readonly requests: number;
}

const BODY = JSON.stringify(OTHER);
const HEAD_END = '\r\n\r\n';

/**
 * Sends requests over one kept-alive connection.
 *
 * @returns the number of answers
 * @throws if an answer differs from the expected one
 */
export function requestAll({ port, path, requests }: Requesting): Promise<number> {
  const socket = connect(port, '127.0.0.1').setEncoding('latin1').setNoDelay();
  const request = `GET ${path} HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\n\r\n`;
  let answered = 0;
  let received = '';
  return new Promise((resolve, reject) => {
    socket.on('connect', () => socket.write(request));
    socket.on('data', (text: string) => {
      received += text;
      if (!isWhole(received)) return;
      received = '';
      if (++answered === requests) socket.destroy();
      else socket.write(request);
    });
    socket.on('error', reject);
    socket.on('close', () => {
      if (answered === requests) return resolve(answered);
      reject(new Error(`Expected ${requests} answers, got ${answered}, and then '${received}'.`));
    });
  });
}

function isWhole(received: string): boolean {
  const head = received.indexOf(HEAD_END);
  if (head === -1 || received.length < head + HEAD_END.length + BODY.length) return false;
  if (received.startsWith('HTTP/1.1 200 ') && received.endsWith(HEAD_END + BODY)) return true;
  throw new Error(`Expected 200 and ${BODY}, got:\n${received}`);
}
