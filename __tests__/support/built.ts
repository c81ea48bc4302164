import { join, resolve } from 'node:path';
import ts from 'typescript';

const ROOT = resolve(__dirname, '../..');

/** What the compiler says of files that import the package: of its types, as they are built. */
export function compileWithBuilt(files: readonly string[], options: ts.CompilerOptions): string[] {
  const program = ts.createProgram(files, {
    strict: true,
    noEmit: true,
    module: ts.ModuleKind.Node20,
    target: ts.ScriptTarget.ES2022,
    typeRoots: [join(ROOT, 'node_modules/@types')],
    paths: {
      'express-yield': [join(ROOT, 'dist/index.d.mts')],
      'express-yield/*': [join(ROOT, 'dist/*.d.mts')],
    },
    ...options,
  });
  return ts
    .getPreEmitDiagnostics(program)
    .map(
      ({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`,
    );
}

/** The code of a module, which imports the package as it is built. */
export function importingBuilt(code: string): string {
  return code.replaceAll(
    /'express-yield(?:\/(\w+))?'/g,
    (_, entry = 'index') => `'${join(ROOT, `dist/${entry}.mjs`)}'`,
  );
}
