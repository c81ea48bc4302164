/**
 * Compiles projects, one after the other, with a compiler that has an API. The first argument is the compiler, the others
 * are the projects' folders. One process compiles all of them, because it reads the compiler's own declarations and warms up
 * only once.
 */
import { relative } from 'node:path';
import type ts from 'typescript';
import { isForeign } from './type-project';

const [, , compiler = '', ...folders] = process.argv;
const typescript = require(compiler) as typeof ts;
const ownDeclarations = new Map<string, ts.SourceFile | undefined>();

process.stdout.write(JSON.stringify(folders.map(check)));

/** @returns the errors of the project's files and of the package, in the format of `tsc` */
function check(folder: string): string {
  const { fileNames, options } = parseConfig(folder);
  const program = typescript.createProgram(fileNames, options, createHost(options));
  const files = program.getSourceFiles().filter(({ fileName }) => !isForeign(relative(folder, fileName)));
  const diagnostics = [
    ...program.getOptionsDiagnostics(),
    ...program.getGlobalDiagnostics(),
    ...files.flatMap((file) => [
      ...program.getSyntacticDiagnostics(file),
      ...program.getSemanticDiagnostics(file),
    ]),
  ];
  return typescript.formatDiagnostics(diagnostics, {
    getCanonicalFileName: (path) => path,
    getCurrentDirectory: () => folder,
    getNewLine: () => '\n',
  });
}

function parseConfig(folder: string): ts.ParsedCommandLine {
  const { config } = typescript.readConfigFile(`${folder}/tsconfig.json`, typescript.sys.readFile);
  return typescript.parseJsonConfigFileContent(config, typescript.sys, folder);
}

function createHost(options: ts.CompilerOptions): ts.CompilerHost {
  const host = typescript.createCompilerHost(options);
  const { getSourceFile } = host;
  const library = host.getDefaultLibLocation?.() ?? '';
  host.getSourceFile = (path, ...rest) => {
    if (!path.startsWith(library)) return getSourceFile.call(host, path, ...rest);
    if (!ownDeclarations.has(path)) ownDeclarations.set(path, getSourceFile.call(host, path, ...rest));
    return ownDeclarations.get(path);
  };
  return host;
}
