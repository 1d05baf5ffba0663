import { expect, test } from "vitest";

import { parseJson } from "../src/api/json";
import { aRun } from "./factories";
import { plainText } from "../src/lib/ansi";
import { durationOf, formatAge, formatBytes, formatCount, formatDuration, formatNumber, formatValue, isNumeric } from "../src/lib/format";

test.each([
  [0, "0"],
  [42, "42"],
  [-3, "-3"],
  [0.1 + 0.2, "0.3"],
  [0.123456789, "0.123457"],
  [1234.56789, "1234.57"],
  [1e-7, "1e-7"],
  [0.00001234, "1.234e-5"],
  [1.5e300, "1.5e300"],
  [123456789012, "123456789012"],
  [9007199254740991, "9007199254740991"],
])("%s reads %s", (value, text) => {
  expect(formatNumber(value)).toBe(text);
});

test("values that are no numbers read as what they are", () => {
  expect(formatValue(null)).toBe("None");
  expect(formatValue(true)).toBe("true");
  expect(formatValue(false)).toBe("false");
  expect(formatValue("0.10")).toBe("0.10");
  expect(formatValue(["a", 1])).toBe('["a",1]');
});

test.each([["0.5", true], ["1e-3", true], ["nan", true], ["-inf", true], ["", false], [" ", false], ["adam", false]])(
  "%j is numeric: %s",
  (text, expected) => expect(isNumeric(text)).toBe(expected),
);

test("sizes use binary units", () => {
  expect([0, 1, 1023, 1024, 1536, 1024 ** 2 * 150, 1024 ** 3, null].map(formatBytes)).toEqual([
    "0 B", "1 B", "1023 B", "1.0 KiB", "1.5 KiB", "150 MiB", "1.0 GiB", "–",
  ]);
});

test("durations use the unit that fits", () => {
  expect([null, 0, 12, 1500, 59_400, 61_000, 3_725_000].map(formatDuration)).toEqual([
    "–", "0ms", "12ms", "1.5s", "59s", "1m 1s", "1h 2m",
  ]);
});

test("a run that ends before it starts has no duration", () => {
  const { record } = aRun({ started_at: "2026-01-02T00:00:00Z", ended_at: "2026-01-01T00:00:00Z" });
  expect(durationOf(record)).toBeNull();
});

test("ages grow coarser", () => {
  const now = Date.parse("2026-11-23T12:00:00Z");
  const ages = ["2026-11-23T11:59:50Z", "2026-11-23T11:57:00Z", "2026-11-23T09:00:00Z", "2026-11-21T12:00:00Z"];
  expect(ages.map((time) => formatAge(time, now))).toEqual(["just now", "3 min ago", "3 h ago", "2 d ago"]);
  expect(formatAge("2026-11-23T12:05:00Z", now)).toBe("just now"); // a clock that is ahead
  expect(formatAge("yesterday-ish", now)).toBe("yesterday-ish");
});

test("counts say when they are not exact", () => {
  expect([formatCount(1, "run"), formatCount(0, "run"), formatCount(10_000, "run", false)]).toEqual([
    "1 run", "0 runs", "10,000+ runs",
  ]);
});

test("terminal sequences are removed, text is kept", () => {
  expect(plainText("\u001b[1;31mred\u001b[0m \u001b]0;title\u0007[0m done")).toBe("red [0m done");
});

test("integers that a double would round keep their digits", () => {
  const text = '{"seed": 9007199254740993, "safe": 9007199254740991, "n": -12345678901234567890, "x": 0.12345678901234567890}';
  expect(parseJson(text)).toEqual({
    seed: "9007199254740993",
    safe: 9007199254740991,
    n: "-12345678901234567890",
    x: 0.12345678901234568,
  });
});

test.each([
  '{"a": [1, -2.5, 1e400, 1234567890123456789e3, "x", null, true], "__proto__": 1}',
  String.raw`{"a \" 9007199254740993": "9007199254740993 \\", "b\\": "\\\" 9007199254740993"}`,
])("everything else reads as JSON.parse reads it: %s", (text) => {
  expect(parseJson<object>(text)).toEqual(JSON.parse(text));
});
