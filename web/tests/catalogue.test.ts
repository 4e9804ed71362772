import { IDBFactory } from "fake-indexeddb";
import "fake-indexeddb/auto";
import { beforeEach, expect, test, vi } from "vitest";
import { categories, fitting, matching } from "../src/catalogue";
import type { Channel, Product } from "../src/shapes";
import { eventually, json, server } from "./browser";

const product = (sku: string, name: string, category?: string): Product => ({
  sku,
  name,
  price: { minor: 990, currency: "CNY" },
  stock: { level: "in_stock", quantity: 9 },
  ...(category ? { category } : {}),
});
const ALL = [product("steam-50", "Steam 充值卡 50 元", "游戏"), product("office", "Office key", "软件"), product("x", "X")];

beforeEach(() => {
  vi.stubGlobal("indexedDB", new IDBFactory());
  vi.resetModules(); // who has opened the one before keeps it
});

test.each([
  ["", undefined, ["steam-50", "office", "x"]],
  ["  充值卡 STEAM ", undefined, ["steam-50"]],
  ["软件", undefined, ["office"]],
  ["e", "游戏", ["steam-50"]],
  ["nothing", undefined, []],
])("“%s” in %s finds %j", (search, category, skus) => {
  expect(matching(ALL, search, category).map((each) => each.sku)).toEqual(skus);
});

test("each category is named once", () => {
  expect(categories([...ALL, product("y", "Y", "游戏")])).toEqual(["游戏", "软件"]);
});

test("a channel fits this terminal and this currency, or it is not offered", () => {
  const channel = (name: string, terminals: string[], more: Partial<Channel> = {}): Channel => ({
    ...{ channel: name, provider: name, terminals },
    ...more,
  });
  const all = [
    channel("any", ["pc", "mobile"]),
    channel("phones", ["mobile"]),
    channel("yuan", ["pc"], { currencies: ["CNY"], currency: "USD" }),
    channel("dollars", ["pc"], { currency: "USD" }),
  ];
  expect(fitting(all, "pc", "CNY").map((each) => each.channel)).toEqual(["any", "yuan"]);
  expect(fitting(all, "pc", "USD").map((each) => each.channel)).toEqual(["any", "dollars"]);
});

test("who is offline from the start sees what was last seen before it says so", async () => {
  const kept = await import("../src/store");
  await kept.keepCatalogue(ALL);
  vi.resetModules();
  const now = await import("../src/catalogue");
  server(() => Promise.reject(new TypeError("fetch failed")));
  await now.load();
  expect(now.problem.value?.code).toBe("offline");
  expect(now.products.value).toEqual(ALL);
});

test("what was last seen is shown while the server is asked, and stays if it does not answer", async () => {
  const loaded = async () => {
    vi.resetModules();
    return import("../src/catalogue");
  };
  server(() => json({ products: ALL }));
  const before = await loaded();
  await before.load();
  expect(before.products.value).toEqual(ALL);
  await eventually(async () => expect(await (await import("../src/store")).catalogue()).toBeDefined());

  let fail: (error: Error) => void = () => undefined;
  server(() => new Promise((_, failed) => (fail = failed)));
  const now = await loaded();
  const loading = now.load();
  await eventually(() => expect(now.products.value).toEqual(ALL));
  expect(now.problem.value).toBeUndefined();
  fail(new TypeError("fetch failed"));
  await loading;
  expect(now.problem.value?.code).toBe("offline");
  expect(now.products.value).toEqual(ALL);
  expect(now.seenAt.value).toBeLessThanOrEqual(before.seenAt.value);
});
