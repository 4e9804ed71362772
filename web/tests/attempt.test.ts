import { beforeEach, expect, test, vi } from "vitest";
import type { OrderRequest } from "../src/shapes";

const BODY: OrderRequest = { items: [{ sku: "s", quantity: 1 }], channel: "epay", terminal: "pc", device_id: "d" };
const MINUTE = 60_000;

/** The module as a page that is loaded anew in the same tab finds it. */
const loaded = async () => {
  vi.resetModules();
  return import("../src/attempt");
};

beforeEach(() => sessionStorage.clear());

test("the same order tapped twice, or after a reload, is sent with the same key", async () => {
  const attempts = await loaded();
  const { key } = attempts.begin("s", BODY);
  expect(key.length).toBeGreaterThanOrEqual(22);
  expect(attempts.begin("s", { ...BODY }).key).toBe(key);
  const again = await loaded();
  expect(again.pending("s")).toMatchObject({ key, body: BODY });
  expect(again.begin("s", BODY).key).toBe(key);
});

test("another order has another key", async () => {
  const attempts = await loaded();
  const { key } = attempts.begin("s", BODY);
  expect(attempts.begin("s", { ...BODY, items: [{ sku: "s", quantity: 2 }] }).key).not.toBe(key);
  expect(attempts.begin("other", BODY).key).not.toBe(key);
});

test("an attempt whose answer is known is over", async () => {
  const attempts = await loaded();
  const { key } = attempts.begin("s", BODY);
  attempts.end("s");
  expect(attempts.pending("s")).toBeUndefined();
  expect((await loaded()).pending("s")).toBeUndefined();
  expect(attempts.begin("s", BODY).key).not.toBe(key);
});

test("after ten minutes nobody's tap is sent again", async () => {
  const attempts = await loaded();
  attempts.begin("s", BODY, 0);
  expect(attempts.pending("s", 10 * MINUTE - 1)).toBeDefined();
  expect(attempts.pending("s", 10 * MINUTE)).toBeUndefined();
});

test("where the tab may keep nothing, a second tap still has the same key", async () => {
  const denied = () => {
    throw new DOMException("denied", "SecurityError");
  };
  vi.stubGlobal("sessionStorage", { getItem: denied, setItem: denied, removeItem: denied });
  const attempts = await loaded();
  const { key } = attempts.begin("s", BODY);
  expect(attempts.begin("s", BODY).key).toBe(key);
  attempts.end("s");
  expect(attempts.pending("s")).toBeUndefined();
});
