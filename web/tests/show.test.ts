import { afterEach, expect, test } from "vitest";
import { age, clock, money, times } from "../src/show";
import { language } from "../src/words";

const before = language.value;
afterEach(() => (language.value = before));

test.each([
  [990, "CNY", "zh", "¥9.90"],
  [5, "USD", "en", "$0.05"],
  [123_456_789, "USD", "en", "$1,234,567.89"],
  [100, "JPY", "en", "¥100"],
  [1234, "KWD", "en", "KWD 1.234"],
  [0, "EUR", "en", "€0.00"],
] as const)("%i %s is read in %s as %s", (minor, currency, reader, text) => {
  language.value = reader;
  expect(plain(money({ minor, currency }))).toBe(text);
});

test.each(["IDR", "HUF", "COP", "LAK"])("%s has two decimals, whatever shops commonly write", (currency) => {
  expect(plain(money({ minor: 1_500_050, currency }))).toMatch(/15,000\.50/);
});

test("dinars of Iraq have three", () => {
  expect(plain(money({ minor: 1_500_050, currency: "IQD" }))).toMatch(/1,500\.050/);
});

test("a currency that browsers do not know is still an amount", () => {
  expect(money({ minor: 990, currency: "USDT" })).toBe("9.90 USDT");
});

test("so many cards cost so many times the price", () => {
  expect(times({ minor: 990, currency: "CNY" }, 3)).toEqual({ minor: 2970, currency: "CNY" });
});

test.each([
  [65_000, "1:05"],
  [59_001, "1:00"],
  [1, "0:01"],
  [0, "0:00"],
  [-5_000, "0:00"],
  [3_599_000, "59:59"],
  [3_600_000, "1:00:00"],
  [36_065_000, "10:01:05"],
])("%i milliseconds left are %s", (left, text) => {
  expect(clock(left)).toBe(text);
});

test.each([
  [59_999, undefined],
  [60_000, "1 minute ago"],
  [3_599_999, "59 minutes ago"],
  [2 * 3_600_000, "2 hours ago"],
  [86_400_000, "yesterday"],
])("what is %i milliseconds old is %s", (old, text) => {
  language.value = "en";
  expect(age(1_000_000, 1_000_000 + old)).toBe(text);
});

/** With plain spaces: which kind stands between code and number is the browser's taste. */
const plain = (text: string): string => text.replace(/\s/g, " ");
