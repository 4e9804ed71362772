import { beforeEach, expect, test, vi } from "vitest";
import type { OrderRequest } from "../src/shapes";
import { json, problem, server } from "./browser";
import { TRADE, order } from "./samples";

const BODY: OrderRequest = { items: [{ sku: "s", quantity: 1 }], channel: "epay", terminal: "pc", device_id: "d" };

let api: typeof import("../src/api");

beforeEach(async () => {
  vi.resetModules();
  api = await import("../src/api");
});

test("who knows a version asks only for what is newer, and hears if there is nothing", async () => {
  const asked = server(({ headers }) =>
    headers["If-None-Match"] === '"3"' ? new Response(null, { status: 304 }) : json(order(3)),
  );
  expect(await api.order(TRADE, "token")).toEqual(order(3));
  expect(await api.order(TRADE, "token", 3)).toBeUndefined();
  expect(asked[0]?.headers).toEqual({ Authorization: "Bearer token" });
  expect(asked.map(({ path }) => path)).toEqual([`/orders/${TRADE}`, `/orders/${TRADE}`]);
});

test("an order is placed under its own key", async () => {
  const [one] = [server(() => json({ trade_id: TRADE }, 201))];
  await api.placeOrder("the-key", BODY);
  expect(one[0]).toMatchObject({ method: "POST", path: "/orders", body: BODY, headers: { "Idempotency-Key": "the-key" } });
});

test("each order's way asks with its own token, and an odd number stays one part of the path", async () => {
  const asked = server(() => json({ ticket: "t" }, 201));
  await api.ticket("../admin", "token");
  expect(asked[0]).toMatchObject({ path: "/orders/..%2Fadmin/tickets", headers: { Authorization: "Bearer token" } });
});

test.each([
  ["a refusal", () => problem("out_of_stock", 409), { code: "out_of_stock", status: 409, open: false }],
  ["a refusal for now", () => problem("busy", 429, { "Retry-After": "7" }), { code: "busy", retryAfter: 7, open: false }],
  ["a failure", () => problem("internal_error", 500), { code: "internal_error", open: true }],
  ["a gateway's page", () => new Response("<html>", { status: 502 }), { code: "broken", status: 502, open: true }],
  ["an answer cut off", () => new Response('{"trade', { status: 200 }), { code: "broken", open: true }],
  ["no network", () => Promise.reject(new TypeError("fetch failed")), { code: "offline", status: 0, open: true }],
])("%s is a problem, and it is known whether the order may have been placed", async (_, answer, told) => {
  server(answer);
  const refused = await api.placeOrder("the-key", BODY).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(api.Problem);
  expect(refused).toMatchObject(told);
});

test("the server's clock is taken from what only it can have answered, and never late", async () => {
  vi.useFakeTimers({ now: Date.parse("2026-01-01T00:00:00Z"), toFake: ["Date"] });
  server(() => json({ products: [] }, 200, { Date: "Thu, 01 Jan 2026 01:00:00 GMT" }));
  await api.products(); // may come from a cache
  expect(api.clockOffset.value).toBe(0);
  await api.order(TRADE, "token");
  expect(api.serverNow()).toBe(Date.parse("2026-01-01T01:00:01Z"));
  vi.useRealTimers();
});

test("without the deploy's settings the API is where the contract says, and they are asked for again", async () => {
  const gone = vi.fn(async () => Promise.reject(new TypeError("fetch failed")));
  vi.stubGlobal("fetch", gone);
  expect(await api.config()).toEqual({ api: "/api" });
  server(() => json({}), "wss://shop.example/ws");
  expect(await api.config()).toEqual({ api: "/api", push: "wss://shop.example/ws" });
});
