/** The code of an error reply from Redis; `undefined` for any other error. */
export function replyCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !isErrorReply(error)) return undefined;
  return error.message.split(' ', 1)[0];
}

/** Tests the class name as ioredis and node-redis have it, because this package imports neither. */
function isErrorReply(error: object): boolean {
  const prototype: object | null = Object.getPrototypeOf(error);
  if (prototype === null) return false;
  return ['ReplyError', 'ErrorReply'].includes(prototype.constructor.name) || isErrorReply(prototype);
}
