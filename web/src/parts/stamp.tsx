import type { Order } from "../shapes";
import { type Standing, standing } from "../steps";
import { t } from "../words";

const TONES: Record<Standing, string> = {
  pending_payment: "wait",
  paid: "good",
  payment_failed: "bad",
  awaiting_stock: "wait",
  delivered: "good",
  completed: "good",
  closed: "off",
  on_hold: "wait",
  refunding: "wait",
  refunded: "off",
  contested: "bad",
};

/** As what an order stands there, stamped on it. */
export function Stamp({ order }: { order: Order }) {
  const now = standing(order);
  return (
    <span key={now} class={`stamp ${TONES[now]}`}>
      {t().status[now]}
    </span>
  );
}
