/**
 * A property of the object itself. Any package may have put anything on `Object.prototype`, and none of it is an option, a
 * field or a detail of the user.
 */
export function own<Type extends object, Name extends keyof Type>(
  object: Type,
  name: Name,
): Type[Name] | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}
