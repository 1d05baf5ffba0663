/**
 * JSON.parse, except that integers which a double cannot hold stay as their digits.
 *
 * A seed of 9007199254740993 would otherwise be shown as …992. Engines that do not pass the source text
 * to the reviver fall back to the rounded number.
 */
export function parseJson<T>(source: string): T {
  return JSON.parse(source, keepLargeIntegers) as T;
}

function keepLargeIntegers(_key: string, value: unknown, context?: { source?: string }): unknown {
  const isRounded = typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value);
  const digits = isRounded ? context?.source : undefined;
  return digits !== undefined && /^-?\d+$/.test(digits) ? digits : value;
}
