import type { NodeAddress } from './drivers';
import { replyList, replyText } from './redis-stream';

/** The nodes that have a range of slots. Each is named by its host and port. */
export interface SlotRange {
  readonly first: number;
  readonly last: number;
  readonly master: string;
  readonly replicas: readonly string[];
}

export function nameOf({ host, port }: NodeAddress): string {
  return `${host}:${port}`;
}

export function parseName(name: string): NodeAddress {
  const colon = name.lastIndexOf(':');
  return { host: name.slice(0, colon), port: Number(name.slice(colon + 1)) };
}

/**
 * Parses the reply of `CLUSTER SLOTS`.
 *
 * @param from the node that has replied; a node that does not know its own address leaves it out
 */
export function parseSlots(reply: unknown, from: string): SlotRange[] {
  return replyList(reply).map((range) => {
    const [first, last, ...nodes] = replyList(range);
    const [master = from, ...replicas] = nodes.map((node) => parseNode(node, from));
    return { first: Number(first), last: Number(last), master, replicas };
  });
}

function parseNode(node: unknown, from: string): string {
  const [host, port] = replyList(node);
  const text = host === null || host === undefined ? '' : replyText(host);
  const isUnknown = text === '' || text === '?';
  return nameOf({ host: isUnknown ? parseName(from).host : text, port: Number(port) });
}

/** The slot and the node that an error `MOVED` or `ASK` names; `undefined` if it names none. */
export function parseRedirection(error: unknown, from: string): { slot: number; node: string } | undefined {
  if (!(error instanceof Error)) return undefined;
  const [, slot, name] = error.message.split(' ');
  if (slot === undefined || name === undefined) return undefined;
  const { host, port } = parseName(name);
  return { slot: Number(slot), node: nameOf({ host: host === '' ? parseName(from).host : host, port }) };
}

/**
 * What most nodes say, because a node that was removed or cut off does not know what has changed since. With equal votes, what
 * covers most slots.
 */
export function majority(views: ReadonlyArray<readonly SlotRange[]>): readonly SlotRange[] | undefined {
  const votes = new Map<string, { view: readonly SlotRange[]; count: number }>();
  for (const view of views) {
    const signature = view
      .map(({ first, last, master }) => `${first}-${last} ${master}`)
      .sort()
      .join();
    const vote = votes.get(signature) ?? { view, count: 0 };
    vote.count++;
    votes.set(signature, vote);
  }
  const sorted = [...votes.values()].sort((a, b) => b.count - a.count || coverage(b.view) - coverage(a.view));
  return sorted[0]?.view;
}

export function coverage(view: readonly SlotRange[]): number {
  return view.reduce((sum, { first, last }) => sum + last - first + 1, 0);
}
