/** GraphQL subscriptions over SSE. Run it with `npx tsx docs/graphql-sse.ts`. */
import express from 'express';
import { Channel, event, sse } from 'express-yield';
import {
  buildSchema,
  type ExecutionArgs,
  type ExecutionResult,
  execute,
  getOperationAST,
  parse,
  subscribe,
  validate,
} from 'graphql';

interface Price {
  readonly symbol: string;
  readonly price: number;
}

export const prices = new Channel<Price>();

const schema = buildSchema(`
  type Price { symbol: String! price: Float! }
  type Query { symbols: [String!]! }
  type Mutation { setPrice(symbol: String!, price: Float!): Price! }
  type Subscription { price(symbol: String!): Price! }
`);

const rootValue = {
  symbols: ['ACME', 'INIT'],
  async setPrice(price: Price) {
    await prices.publish(price);
    return price;
  },
  async *price({ symbol }: Price, { sse }: Context) {
    for await (const { id, data } of prices.filter((price) => price.symbol === symbol).subscribe(sse)) {
      if (id !== undefined) yield { price: data };
    }
  },
};

interface Context {
  readonly sse: Express.Response['sse'];
}

const app = express();
app.use(sse());

app.post('/graphql', express.json(), async ({ body: { query, variables, operationName } }, res) => {
  const document = parse(String(query));
  const errors = validate(schema, document);
  if (errors.length > 0) return res.status(400).json({ errors });
  const contextValue: Context = { sse: res.sse };
  const request = { schema, document, rootValue, contextValue, variableValues: variables, operationName };
  return results(await executed(request));
});

/** A subscription has many results, other operations have one. */
async function executed(request: ExecutionArgs) {
  const { operation } = getOperationAST(request.document, request.operationName) ?? {};
  return operation === 'subscription' ? subscribe(request) : execute(request);
}

/** The protocol of graphql-sse with one connection for each operation. */
async function* results(result: AsyncIterable<ExecutionResult> | ExecutionResult) {
  if (Symbol.asyncIterator in result) for await (const each of result) yield event('next', each);
  else yield event('next', result);
  return event('complete', '');
}

export const server = app.listen(process.env.PORT ?? 3000);
