/** An order's way as its buyer sees it: what is behind, where it is, and what lies ahead. */

import type { Order, Status } from "./shapes";

export interface Step {
  status: Status;
  at: "done" | "now" | "ahead";
  when?: string; // RFC 3339, of a state that was reached
}

const MAIN: Status[] = ["pending_payment", "paid", "delivered", "completed"];

const AHEAD: Partial<Record<Status, Status[]>> = {
  payment_failed: ["closed"],
  awaiting_stock: ["delivered", "completed"],
  refunding: ["refunded"],
};

export function steps({ status, timeline }: Pick<Order, "status" | "timeline">): Step[] {
  const reached = (each: Status) => timeline.findLast((change) => change.what === each)?.when;
  const step = (each: Status, at: Step["at"]): Step => {
    const when = at === "ahead" ? undefined : reached(each);
    return { status: each, at, ...(when ? { when } : {}) };
  };
  const place = MAIN.indexOf(status);
  if (place >= 0) {
    const over = status === "completed";
    return MAIN.map((each, n) => step(each, n < place || over ? "done" : n === place ? "now" : "ahead"));
  }
  const seen = new Set(timeline.map((change) => change.status));
  const behind = [...MAIN, "payment_failed", "refunding"] as Status[];
  const passed = behind.filter((each) => each !== status && (each === "pending_payment" || seen.has(each)));
  const ahead = status === "on_hold" ? MAIN.filter((each) => !seen.has(each)) : (AHEAD[status] ?? []);
  return [
    ...passed.map((each) => step(each, "done")),
    step(status, "now"),
    ...ahead.filter((each) => !passed.includes(each)).map((each) => step(each, "ahead")),
  ];
}

/** As what the order stands there: its state, unless the payer has taken back, or contests, what it was delivered for. */
export type Standing = Status | "contested";

export const standing = ({ status, payments }: Pick<Order, "status" | "payments">): Standing =>
  (status === "delivered" || status === "completed") && payments.some((each) => each.state === "charged_back")
    ? "contested"
    : status;
