import { IDBFactory } from "fake-indexeddb";
import "fake-indexeddb/auto";
import { render } from "preact";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import HandOff from "../src/pages/handoff";
import { HandOffCode } from "../src/parts/handoff";
import * as store from "../src/store";
import { t } from "../src/words";
import { eventually, json, problem, server } from "./browser";
import { TRADE } from "./samples";

const route = vi.fn();
vi.mock("preact-iso", () => ({ useLocation: () => ({ route }) }));

const page = document.createElement("div");
const words = t().handOff;

beforeEach(() => vi.stubGlobal("indexedDB", new IDBFactory()));
afterEach(() => {
  render(null, page);
  route.mockReset();
});

function opened(fragment: string): void {
  history.replaceState(null, "", `/handoff${fragment}`);
  render(<HandOff />, page);
}

test("the code leaves the address before it is sent, and the order is this device's", async () => {
  const addresses: string[] = [];
  const asked = server(() => {
    addresses.push(location.href);
    return json({ trade_id: TRADE, token: "token" });
  });
  opened("#a%2Bcode");
  await eventually(() => expect(route).toHaveBeenCalledWith(`/orders/${TRADE}`, true));
  expect(asked).toHaveLength(1);
  expect(asked[0]).toMatchObject({ method: "POST", path: "/handoffs", body: { code: "a+code" } });
  expect(addresses[0]).toMatch(/\/handoff$/);
  expect(await store.order(TRADE)).toMatchObject({ token: "token" });
});

test.each(["#gone", "#%", "#100%25%E0%A4%A"])("a link that is good for nothing (%s) says so, and what to do", async (fragment) => {
  const asked = server(() => problem("not_found", 404));
  opened(fragment);
  await eventually(() => expect(page.textContent).toContain(words.failed));
  expect(page.textContent).toContain(words.failedNext);
  expect(asked).toHaveLength(1);
  expect(location.hash).toBe("");
});

test("a link without a code asks nothing", async () => {
  const asked = server(() => problem("not_found", 404));
  opened("");
  await eventually(() => expect(page.textContent).toContain(words.empty));
  expect(asked).toEqual([]);
});

test("a code that could not be sent can be sent again", async () => {
  let up = false;
  const asked = server(() => (up ? json({ trade_id: TRADE, token: "token" }) : Promise.reject(new TypeError("failed"))));
  opened("#code");
  const retry = await eventually(() => page.querySelector<HTMLButtonElement>("[role=alert] button") ?? expect.fail("no button"));
  up = true;
  retry.click();
  await eventually(() => expect(route).toHaveBeenCalledWith(`/orders/${TRADE}`, true));
  expect(asked.map(({ body }) => (body as { code: string }).code)).toEqual(["code", "code"]);
});

test.each([0, 999])("a code made %i ms after the second is never said to be good for more than its two minutes", async (late) => {
  const made = Date.parse("2026-01-01T00:00:00Z") + late;
  const expires = new Date(made + 120_000).toISOString();
  vi.useFakeTimers({ now: made - 3_600_000, toFake: ["Date"] });
  server(() => {
    vi.setSystemTime(Date.now() + 900); // on its way
    return json({ code: "code", expires_at: expires }, 201, { Date: new Date(made).toUTCString() });
  });
  render(<HandOffCode tradeId={TRADE} token="token" />, page);
  const left = await eventually(() => page.querySelector(".clock")?.textContent ?? expect.fail("no clock"));
  expect(left).toMatch(late ? /2:00/ : /1:59/);
  vi.useRealTimers();
});
