import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Change, Order } from "../shapes";
import { money, toTheSecond } from "../show";
import { called } from "../channels";
import { deviceId } from "../terminal";
import { t } from "../words";

/** Everything that happened to an order, the latest first. */
export function Timeline({ changes }: { changes: Change[] }) {
  const words = t();
  const here = useSignal<string | undefined>(undefined);
  useEffect(() => {
    void deviceId().then((id) => (here.value = id));
  }, []);
  const where = ({ device, terminal }: Change) =>
    device !== undefined && device === here.value ? words.on["here"] : terminal ? (words.on[terminal] ?? terminal) : "";
  return (
    <details class="panel" open>
      <summary>{words.order.timeline}</summary>
      <ol class="timeline">
        {[...changes].reverse().map((change) => (
          <li key={change.version}>
            <span>{words.what[change.what] ?? words.status[change.status] ?? change.what}</span>
            <small>
              <time dateTime={change.when}>{toTheSecond(change.when)}</time>
              {[words.by[change.by] ?? change.by, where(change), change.address].filter(Boolean).map((part) => ` · ${part}`)}
            </small>
          </li>
        ))}
      </ol>
    </details>
  );
}

/** Each try to pay and what became of its money; shown where it is more than one plain payment. */
export function Payments({ payments }: Pick<Order, "payments">) {
  const words = t();
  if (payments.every((each) => ["open", "accepted"].includes(each.state) && !each.refunds) && payments.length < 2) return null;
  return (
    <details class="panel" open>
      <summary>{words.order.payments}</summary>
      <ul class="timeline">
        {payments.map((each) => (
          <li key={each.payment_id}>
            <span class="row apart">
              <span>
                {called(each.channel)} · {words.payment[each.state]}
              </span>
              <span class="price">{money(each.paid ?? each.amount)}</span>
            </span>
            {words.paymentNext[each.state] && <small>{words.paymentNext[each.state]}</small>}
            {each.refunds?.map((refund) => (
              <small key={refund.refund_id} class="row apart">
                <span>{words.refund[refund.state]}</span>
                <span class="price">−{money(refund.amount)}</span>
              </small>
            ))}
          </li>
        ))}
      </ul>
    </details>
  );
}
