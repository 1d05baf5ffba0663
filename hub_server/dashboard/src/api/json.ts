// A string, or a number (RFC 8259 §6, §7). Strings come first, so that digits inside them are never taken for numbers.
const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const LONG_INTEGER = /^-?\d{16,}$/;

/**
 * JSON.parse, except that integers which a double cannot hold become strings of their digits.
 *
 * A seed of 9007199254740993 would otherwise be shown as …992.
 */
export function parseJson<T>(source: string): T {
  return JSON.parse(/\d{16}/.test(source) ? source.replace(TOKENS, quoteLongInteger) : source) as T;
}

function quoteLongInteger(token: string): string {
  return LONG_INTEGER.test(token) && !Number.isSafeInteger(Number(token)) ? `"${token}"` : token;
}
