import { join } from 'node:path';
import { Child } from '../tools/child';

/** Warnings are incidents, which the processes report themselves. */
const nodeArgs = ['--expose-gc', '--no-warnings'];

/** Starts a script of this folder. @returns the process and its first message */
export function startChild<Message>(script: string, args: readonly string[]) {
  return Child.start<Message>(join(__dirname, script), { args, nodeArgs });
}
