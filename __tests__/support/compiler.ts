import { join, resolve } from 'node:path';
import ts from 'typescript';

const ROOT = resolve(__dirname, '../..');
const FOLDER = join(ROOT, '__tests__');

/** Checks at compile time that two types are the same: `same<A, B>()` is an error if they differ. */
export const SAME = `
  declare function same<A, B>(...differ: [A, B] extends [B, A] ? [] : ['they differ']): void;
`;

/**
 * Compiles each text as a file of `__tests__`.
 *
 * @param lib names of declarations to add to those of this project, such as `lib.dom.d.ts`
 * @returns the errors of each text; `''` if there are none
 */
export function compile(
  texts: Readonly<Record<string, string>>,
  lib: readonly string[] = [],
): ReadonlyMap<string, string> {
  const names = Object.keys(texts);
  const files = new Map(
    names.map((name, index) => [join(FOLDER, `compiled-${index}.ts`), texts[name] ?? '']),
  );
  const options = compilerOptions(lib);
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (path) => files.has(resolve(path)) || fileExists(path);
  host.getSourceFile = (path, languageVersion, ...rest) => {
    const text = files.get(resolve(path));
    if (text === undefined) return getSourceFile.call(host, path, languageVersion, ...rest);
    return ts.createSourceFile(path, text, languageVersion);
  };
  const program = ts.createProgram([...files.keys()], options, host);
  return new Map(names.map((name, index) => [name, errorsIn(program, [...files.keys()][index] ?? '')]));
}

function errorsIn(program: ts.Program, path: string): string {
  const file = program.getSourceFile(path);
  if (file === undefined) throw new Error(`Expected ${path} to be part of the program.`);
  return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
    .join('\n');
}

/** The strict options of this project, except that unused declarations are allowed. */
function compilerOptions(lib: readonly string[]): ts.CompilerOptions {
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
  return {
    ...options,
    lib: [...(options.lib ?? []), ...lib],
    noUnusedLocals: false,
    noUnusedParameters: false,
  };
}
