import { IDBFactory } from "fake-indexeddb";
import "fake-indexeddb/auto";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { TRADE, order } from "./samples";

/** The module as a page that is loaded anew finds it. */
const loaded = async () => {
  vi.resetModules();
  return import("../src/store");
};

const KEPT = { trade_id: TRADE, token: "token", added_at: 1, order: order(1) };

beforeEach(() => {
  vi.stubGlobal("indexedDB", new IDBFactory());
});

test("what is kept is there after a reload", async () => {
  const store = await loaded();
  await store.keepOrder(KEPT);
  await store.set("device", "d");
  const again = await loaded();
  expect(await again.order(TRADE)).toEqual(KEPT);
  expect(await again.setting("device")).toBe("d");
  expect(again.remembers.value).toBe(true);
});

test("orders come the latest first, and one that is forgotten takes its sealed codes along", async () => {
  const store = await loaded();
  const other = TRADE.replace("m", "n");
  const box = { salt: new Uint8Array(1), iv: new Uint8Array(1), iterations: 1, sealed: new ArrayBuffer(1), at: 0 };
  await store.keepOrder(KEPT);
  await store.keepOrder({ ...KEPT, trade_id: other, added_at: 2 });
  await store.keepBox(TRADE, box);
  expect((await store.orders()).map((each) => each.trade_id)).toEqual([other, TRADE]);
  await store.forgetOrder(TRADE);
  expect((await store.orders()).map((each) => each.trade_id)).toEqual([other]);
  expect(await store.box(TRADE)).toBeUndefined();
});

test("what was forgotten meanwhile is not kept again by a change", async () => {
  const store = await loaded();
  expect(await store.changeOrder(TRADE, (kept) => kept)).toBeUndefined();
  await store.keepOrder(KEPT);
  const changed = { ...KEPT, token: "another" };
  expect(await store.changeOrder(TRADE, (kept) => ({ ...kept, token: "another" }))).toEqual(changed);
  expect(await store.order(TRADE)).toEqual(changed);
  await store.forgetOrder(TRADE);
  expect(await store.changeOrder(TRADE, (kept) => kept)).toBeUndefined();
  expect(await store.orders()).toEqual([]);
});

const blocked: Record<string, () => void> = {
  "is not there": () => vi.stubGlobal("indexedDB", undefined),
  "throws": () =>
    vi.spyOn(indexedDB, "open").mockImplementation(() => {
      throw new DOMException("denied", "SecurityError");
    }),
  "is full": () =>
    vi.spyOn(IDBObjectStore.prototype, "put").mockImplementation(() => {
      throw new DOMException("full", "QuotaExceededError");
    }),
};

describe.each(Object.entries(blocked))("where storage %s", (_, block) => {
  test("this page remembers until it is closed, and says that it will forget", async () => {
    block();
    const store = await loaded();
    await store.keepOrder(KEPT);
    expect(await store.order(TRADE)).toEqual(KEPT);
    expect(await store.orders()).toEqual([KEPT]);
    const changed = { ...KEPT, token: "another" };
    expect(await store.changeOrder(TRADE, (kept) => ({ ...kept, token: "another" }))).toEqual(changed);
    expect(await store.orders()).toEqual([changed]);
    expect(store.remembers.value).toBe(false);
    await store.forgetOrder(TRADE);
    expect(await store.orders()).toEqual([]);
    await store.keepOrder(KEPT);
    expect(await (await loaded()).order(TRADE)).toBeUndefined();
  });
});

describe("choices made before the first paint", () => {
  const preferences = async () => {
    vi.resetModules();
    return import("../src/preferences");
  };

  test("are there after a reload", async () => {
    (await preferences()).set("theme", "dark");
    expect((await preferences()).get("theme")).toBe("dark");
  });

  test("hold until the page is closed where they cannot be kept", async () => {
    const denied = () => {
      throw new DOMException("denied", "SecurityError");
    };
    vi.stubGlobal("localStorage", { getItem: denied, setItem: denied });
    const here = await preferences();
    expect(here.get("theme")).toBeUndefined();
    here.set("theme", "dark");
    expect(here.get("theme")).toBe("dark");
    expect((await preferences()).get("theme")).toBeUndefined();
  });
});
