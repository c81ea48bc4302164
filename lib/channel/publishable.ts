import type { EventOf, ServerSentEvent } from '../format/event';
import type { DataOf } from './source-run';

/**
 * A value that a channel accepts. A channel of data accepts the data, or an event of any type with it. A channel of `Events`
 * accepts these events.
 *
 * @example
 * const split: Publishable<Price> = event('split', { symbol: 'ACME', price: 50.75 });
 */
export type Publishable<Value> = Value | EventOf<Value> | Hint<DataOf<Value>> | GenericDataEvent<Value>;

/** No value has this type. Without it, the compiler would accept only the first type of a union as the data of an event. */
type Hint<Data> = ServerSentEvent<never, Data>;

/**
 * The event in `<Value>(channel: Channel<Value>, data: Value) => channel.publish(event('tick', data))`, where the compiler
 * cannot evaluate `EventOf<Value>`.
 *
 * If a conditional type depends on a type parameter, a value must be assignable to both branches; except that the first branch
 * is ignored if its condition is false for `any`. So the condition here, and that of {@link GenericEvent}, excludes `any`.
 */
type GenericDataEvent<Value> = [IsAny<Value>, HasEvents<Value>] extends [false, true]
  ? never
  : ServerSentEvent<string, Value>;

/**
 * The event in `<Type extends keyof Market>(type: Type, data: Market[Type]) => market.publish(event(type, data))`. For a union
 * of types it does not exist, because the data may belong to another type of the union.
 */
export type GenericEvent<Value, Type extends EventTypeOf<Value>> = [
  IsAnyString<Type>,
  IsUnion<Type>,
] extends [false, true]
  ? never
  : ServerSentEvent<Type, DataByType<Value>[Type]>;

/** The types of the events in `Value`. */
export type EventTypeOf<Value> = keyof DataByType<Value> & string;

type DataByType<Value> = {
  [Each in Extract<Value, ServerSentEvent<string>> as Each['type']]: Each['data'];
};

type HasEvents<Value> = [Extract<Value, ServerSentEvent>] extends [never] ? false : true;
type IsAny<Type> = [0] extends [1 & Type] ? true : false;
/** `IsAny` of a type parameter that extends string: there, the compiler evaluates the intersection of {@link IsAny} early. */
type IsAnyString<Type> = [0] extends [Type] ? true : false;
type IsUnion<Type, All = Type> = Type extends unknown ? ([All] extends [Type] ? false : true) : never;
