/** What a test states of an error of the package; the message is a whole one, without its pointer to the documentation. */
export interface StatedError {
  readonly name?: string;
  readonly code: string;
  readonly message: string;
  readonly cause?: unknown;
}

/** Matches an error with these properties, and with exactly this message and the pointer to the section of its code. */
export function errorWith({ code, message, ...others }: StatedError): Error {
  return expect.objectContaining({ ...others, code, message: fullMessage(code, message) });
}

/** The whole message of an error or a warning: what it says, and where its code is documented. */
export function fullMessage(code: string, text: string): string {
  return `${text} See docs/error-codes.md#${code.toLowerCase()}`;
}
