import type { Status } from "../shapes";
import { t } from "../words";

const TONES: Record<Status, string> = {
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
};

/** A state, stamped on its order. */
export function Stamp({ status }: { status: Status }) {
  return (
    <span key={status} class={`stamp ${TONES[status]}`}>
      {t().status[status]}
    </span>
  );
}
