import { join, resolve } from 'node:path';
import ts from 'typescript';

const ROOT = resolve(__dirname, '../..');

/** Compiles files against the built types of the package. @returns the diagnostics */
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

/** The code of a module, with imports of the package replaced by those of the build. */
export function importingBuilt(code: string): string {
  return code.replaceAll(
    /'express-yield(?:\/(\w+))?'/g,
    (_, entry = 'index') => `'${join(ROOT, `dist/${entry}.mjs`)}'`,
  );
}
