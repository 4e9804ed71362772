import { IDBFactory } from "fake-indexeddb";
import "fake-indexeddb/auto";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Trade } from "../src/trades";
import { type Asked, Socket, eventually, json, problem, server, sockets } from "./browser";
import { TRADE, order, pushed, versions } from "./samples";

let trades: typeof import("../src/trades");
let store: typeof import("../src/store");
let trade: Trade;

/** What the server knows, and what it was asked for. */
let committed: number;
let asked: Asked[];
const gets = () => asked.filter(({ method }) => method === "GET");

beforeEach(async () => {
  vi.stubGlobal("indexedDB", new IDBFactory());
  sockets();
  vi.resetModules();
  store = await import("../src/store");
  trades = await import("../src/trades");
  committed = 1;
  asked = server(({ path, headers }) => {
    if (path.endsWith("/tickets")) return json({ ticket: "a/ticket" }, 201);
    return headers["If-None-Match"] === `"${committed}"` ? new Response(null, { status: 304 }) : json(order(committed));
  });
});

afterEach(() => trade.close());

/** Watched, with its connection open and its first looks over. */
async function watching(): Promise<void> {
  await store.adopt(TRADE, "token");
  trade = trades.watch(TRADE);
  await eventually(() => expect(Socket.all).toHaveLength(1));
  await eventually(() => expect(shown().version).toBe(committed));
  Socket.last.open();
  await eventually(() => expect(gets()).toHaveLength(2));
  await eventually(async () => expect((await store.order(TRADE))?.order).toEqual(order(committed)));
  asked.length = 0;
}

/** The next look waits for its answer: the order at this version. */
function slow(): { asked: Asked[]; answers: (version: number) => void } {
  let done: (response: Response) => void = () => undefined;
  const asked = server(() => new Promise<Response>((given) => (done = given)));
  return { asked, answers: (version) => done(json(order(version))) };
}

const shown = () => trade.kept.value?.order ?? expect.fail("nothing is shown");

test("an order is asked for at once, and followed with a ticket", async () => {
  await watching();
  expect(Socket.last.address).toBe("wss://shop.example/ws?ticket=a%2Fticket");
  expect(trade.mode.value).toEqual({ kind: "live" });
});

test("what is pushed is shown and kept, and asks for nothing", async () => {
  await watching();
  Socket.last.tell(pushed(2));
  expect(shown()).toEqual(order(2));
  await eventually(async () => expect((await store.order(TRADE))?.order).toEqual(order(2)));
  expect(asked).toEqual([]);
});

test("a repeated message changes nothing, and an older one neither", async () => {
  await watching();
  Socket.last.tell(pushed(2));
  const before = trade.kept.value;
  Socket.last.tell(pushed(2));
  Socket.last.tell(pushed(1));
  expect(trade.kept.value).toBe(before);
  expect(asked).toEqual([]);
});

test("a message that skips one is shown at once, and the whole is asked for", async () => {
  await watching();
  committed = 3;
  Socket.last.tell(pushed(3));
  expect(versions(shown())).toEqual([1, 3]);
  await eventually(() => expect(versions(shown())).toEqual([1, 2, 3]));
  expect(gets()).toHaveLength(1);
  expect(gets()[0]?.headers).not.toHaveProperty("If-None-Match"); // the version is known, what led to it is not
});

test("an answer that was overtaken by a push does not take it back", async () => {
  await watching();
  const { asked, answers } = slow();
  const looked = trade.refresh();
  await eventually(() => expect(asked).toHaveLength(1));
  Socket.last.tell(pushed(2));
  answers(1);
  await looked;
  expect(shown()).toEqual(order(2));
});

test("an order that this device has no token for is said to be unknown, and nothing is asked", async () => {
  trade = trades.watch(TRADE);
  await eventually(() => expect(trade.kept.value).toBeNull());
  expect(asked).toEqual([]);
});

test("a token that has expired is told, and what was last seen stays", async () => {
  await watching();
  trade.close();
  server(() => problem("unauthorized", 401));
  trade = trades.watch(TRADE);
  await eventually(() => expect(trade.refused.value?.code).toBe("unauthorized"));
  expect(shown()).toEqual(order(1));
  expect(trade.mode.value).toEqual({ kind: "ended" });
});

test("without push the order is asked for, and the page says so", async () => {
  vi.resetModules();
  trades = await import("../src/trades");
  server(() => json(order(1)), "");
  await store.adopt(TRADE, "token");
  trade = trades.watch(TRADE);
  await eventually(() => expect(trade.mode.value).toEqual({ kind: "asking", seconds: 2 }));
  await eventually(() => expect(shown()).toEqual(order(1)));
  expect(Socket.all).toEqual([]);
});

test("a token anew for an order that is known keeps what is known of it", async () => {
  await watching();
  await store.adopt(TRADE, "another");
  expect(await store.order(TRADE)).toMatchObject({ token: "another", order: order(1) });
});

test("an order that is forgotten while it is asked for stays forgotten", async () => {
  await watching();
  const { asked, answers } = slow();
  const looked = trade.refresh();
  await eventually(() => expect(asked).toHaveLength(1));
  await store.forgetOrder(TRADE);
  answers(2);
  await looked;
  expect(await store.orders()).toEqual([]);
});

test("an order that is forgotten while this device's are asked for stays forgotten, and is told to nobody", async () => {
  trade = trades.watch("nobody's");
  await store.adopt(TRADE, "token");
  const { asked, answers } = slow();
  const renewed: string[] = [];
  const reconciled = trades.reconcile((kept) => renewed.push(kept.trade_id));
  await eventually(() => expect(asked).toHaveLength(1));
  await store.forgetOrder(TRADE);
  answers(2);
  await reconciled;
  expect([await store.orders(), renewed]).toEqual([[], []]);
});

test("a look takes back neither what another tab knows of the order nor its newer token", async () => {
  await watching();
  const { asked, answers } = slow();
  const looked = trade.refresh();
  await eventually(() => expect(asked).toHaveLength(1));
  await store.changeOrder(TRADE, (kept) => ({ ...kept, token: "another", order: order(3) }));
  answers(2);
  await looked;
  expect(await store.order(TRADE)).toMatchObject({ token: "another", order: order(3) });
});

test("this device's orders are asked for one by one; one that fails stays as it was", async () => {
  trade = trades.watch("nobody's");
  const other = TRADE.replace("m", "n");
  for (const id of [TRADE, other]) await store.keepOrder({ trade_id: id, token: "token", added_at: 1, order: order(1) });
  server(({ path }) => (path.endsWith(other) ? problem("unavailable", 503) : json(order(2))));
  const renewed: string[] = [];
  await trades.reconcile((kept) => renewed.push(kept.trade_id));
  expect(renewed).toEqual([TRADE]);
  expect((await store.order(TRADE))?.order?.version).toBe(2);
  expect((await store.order(other))?.order?.version).toBe(1);
});
