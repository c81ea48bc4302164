export type Query = Readonly<Record<string, string>>;

/** The two parts of a request's target. */
export function queryOf(target: string): { readonly path: string; readonly query: Query } {
  const [path = '', search = ''] = target.split('?', 2);
  return { path, query: Object.fromEntries(new URLSearchParams(search)) };
}
