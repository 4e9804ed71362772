/** An order as the API tells it, and the changes of it as they are pushed. */

import type { Change, Order, Pushed, Status } from "../src/shapes";

export const TRADE = "m5qk7c2xj3zv6n4wtyb2hdgl5e";

const STORY: Status[] = ["pending_payment", "paid", "delivered", "completed"];

export const change = (version: number): Change => {
  const status = STORY[version - 1] ?? "completed";
  return { version, what: status, status, when: `2026-01-01T00:00:0${version}Z`, by: "shop" };
};

const summary = (version: number) => ({
  trade_id: TRADE,
  status: change(version).status,
  version,
  amount: { minor: 990, currency: "CNY" },
  items: [{ sku: "steam-50", name: "Steam 50", quantity: 1, price: { minor: 990, currency: "CNY" } }],
  terminal: "pc",
  created_at: "2026-01-01T00:00:01Z",
  expires_at: "2026-01-01T00:15:01Z",
  payments: [],
});

export const order = (version: number): Order => ({
  ...summary(version),
  timeline: Array.from({ length: version }, (_, n) => change(n + 1)),
});

export const pushed = (version: number): Pushed => ({
  trade_id: TRADE,
  version,
  status: change(version).status,
  change: change(version),
  order: summary(version),
});

export const versions = ({ timeline }: Order): number[] => timeline.map((each) => each.version);
