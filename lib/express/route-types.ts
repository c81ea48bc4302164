/**
 * The request and the response that a route's handler gets, where the compiler has not inferred the route's type parameters
 * yet.
 *
 * Before TypeScript 5.9 the handler in `app.get('/users/:id', sse(handler))` is checked while the type parameters of `get`
 * are unknown, so that `req.params` would have no properties. Such a handler gets Express's `Request` and `Response` with
 * their default parameters instead; later compilers know the exact ones.
 */
export type Settled<Req, Type, Default> = Req extends { params: infer Params; query: infer Query }
  ? // With an unknown parameter neither branch is chosen, and the compiler uses what both have in common.
    [0, 0] extends [1 & Params, 1 & Query]
    ? Default
    : Probe<Req> extends { isUnknown: false }
      ? Type
      : Default
  : Type;

/**
 * A condition on an object is decided at once, with `any` for an unknown parameter. So {@link Settled} has the default in both
 * branches then.
 */
type Probe<Req> = Req extends { params: infer Params; query: infer Query }
  ? { isUnknown: [0, 0] extends [1 & Params, 1 & Query] ? true : false }
  : never;

/** Express's `Request` with default parameters, to which each of its responses refers. */
export type DefaultRequest<Res> = Res extends { req: infer Req } ? Req : never;

/** Express's `Response` with default parameters. */
export type DefaultResponse<Res> = Res extends { req: { res?: infer Default } }
  ? Exclude<Default, undefined>
  : never;
