import { expect, test } from "vitest";
import { canSeal, open, seal } from "../src/box";
import { TRADE } from "./samples";

const CARDS = [
  { sku: "steam-50", code: "ABCD-EFGH-2345" },
  { sku: "steam-50", code: "账号 player@example.com" },
];
const PASSPHRASE = "correct horse 电池";

const sealed = await seal(CARDS, PASSPHRASE, TRADE);

test("the passphrase opens what it sealed", async () => {
  expect(canSeal()).toBe(true);
  expect(await open(sealed, PASSPHRASE, TRADE)).toEqual(CARDS);
});

test.each(["Correct horse 电池", "correct horse 电", ""])("“%s” opens nothing", async (other) => {
  expect(await open(sealed, other, TRADE)).toBeUndefined();
});

test("the box of one order is no box of another's", async () => {
  expect(await open(sealed, PASSPHRASE, TRADE.replace("m", "n"))).toBeUndefined();
});

test("a changed bit is noticed", async () => {
  const bytes = new Uint8Array(sealed.sealed.slice(0));
  bytes[3] = (bytes[3] ?? 0) ^ 1;
  expect(await open({ ...sealed, sealed: bytes.buffer }, PASSPHRASE, TRADE)).toBeUndefined();
});

test("nothing of the codes or the passphrase is in what is kept", () => {
  const kept = [sealed.sealed, sealed.salt, sealed.iv].map((each) => new TextDecoder().decode(each)).join("");
  for (const secret of [...CARDS.flatMap(({ sku, code }) => [sku, code]), PASSPHRASE]) expect(kept).not.toContain(secret);
  expect(Object.keys(sealed).sort()).toEqual(["at", "iterations", "iv", "salt", "sealed"]);
});

test("the same codes sealed again are other bytes", async () => {
  const again = await seal(CARDS, PASSPHRASE, TRADE);
  expect(again.salt).not.toEqual(sealed.salt);
  expect(again.iv).not.toEqual(sealed.iv);
  expect(new Uint8Array(again.sealed)).not.toEqual(new Uint8Array(sealed.sealed));
});

test("guessing is slow: as many rounds as OWASP asks of PBKDF2-SHA-256", () => {
  expect(sealed.iterations).toBeGreaterThanOrEqual(600_000);
});

test("a passphrase is the same however a keyboard composes it", async () => {
  const composed = await seal(CARDS, "caf\u00e9 caf\u00e9", TRADE);
  expect(await open(composed, "cafe\u0301 cafe\u0301", TRADE)).toEqual(CARDS);
});
