import { expect, test } from "vitest";
import type { Change, Status } from "../src/shapes";
import { standing, steps } from "../src/steps";

const timeline = (...statuses: Status[]): Change[] =>
  statuses.map((status, n) => ({ version: n + 1, what: status, status, when: `2026-01-01T00:00:0${n}Z`, by: "shop" }));

const seen = (status: Status, ...before: Status[]): string =>
  steps({ status, timeline: timeline(...before, status) }).map(({ status: each, at }) => `${each}:${at}`).join(" ");

test.each<[Status, Status[], string]>([
  ["pending_payment", [], "pending_payment:now paid:ahead delivered:ahead completed:ahead"],
  ["paid", ["pending_payment"], "pending_payment:done paid:now delivered:ahead completed:ahead"],
  ["completed", ["pending_payment", "paid", "delivered"], "pending_payment:done paid:done delivered:done completed:done"],
  ["closed", ["pending_payment"], "pending_payment:done closed:now"],
  ["payment_failed", ["pending_payment"], "pending_payment:done payment_failed:now closed:ahead"],
  ["closed", ["pending_payment", "payment_failed"], "pending_payment:done payment_failed:done closed:now"],
  ["awaiting_stock", ["pending_payment", "paid"], "pending_payment:done paid:done awaiting_stock:now delivered:ahead completed:ahead"],
  ["on_hold", ["pending_payment"], "pending_payment:done on_hold:now paid:ahead delivered:ahead completed:ahead"],
  ["refunding", ["pending_payment", "paid"], "pending_payment:done paid:done refunding:now refunded:ahead"],
  ["refunded", ["pending_payment", "paid", "delivered", "refunding"], "pending_payment:done paid:done delivered:done refunding:done refunded:now"],
])("%s after %j", (status, before, shown) => {
  expect(seen(status, ...before)).toBe(shown);
});

test("a step that was reached says when, the last time it was", () => {
  const [first, second] = steps({ status: "paid", timeline: timeline("pending_payment", "paid", "paid") });
  expect([first?.when, second?.when]).toEqual(["2026-01-01T00:00:00Z", "2026-01-01T00:00:02Z"]);
});

test.each<[Status, string]>([
  ["delivered", "contested"],
  ["completed", "contested"],
  ["refunded", "refunded"],
])("%s, with a payment that was taken back, stands there as %s", (status, shown) => {
  const payment = { payment_id: "p", channel: "epay", amount: { minor: 1, currency: "CNY" } };
  expect(standing({ status, payments: [{ ...payment, state: "accepted" }] })).toBe(status);
  expect(standing({ status, payments: [{ ...payment, state: "accepted" }, { ...payment, state: "charged_back" }] })).toBe(shown);
});
