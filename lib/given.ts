/**
 * A property that an object or its class has. Any package may have put anything on `Object.prototype`, and none of that is
 * an option, a field or a detail that was given.
 */
export function given<Type extends object, Name extends keyof Type>(
  object: Type,
  name: Name,
): Type[Name] | undefined {
  for (
    let owner: object | null = object;
    owner !== null && owner !== Object.prototype;
    owner = Object.getPrototypeOf(owner)
  ) {
    if (Object.hasOwn(owner, name)) return object[name];
  }
  return undefined;
}
