import { toTheSecond } from "../show";
import type { Step } from "../steps";
import { t } from "../words";
import { Icon } from "./icons";

const OFF = new Set(["payment_failed", "closed", "refunded"]);

export function Stepper({ steps }: { steps: Step[] }) {
  const words = t();
  return (
    <ol class="stepper" aria-label={words.order.steps}>
      {steps.map(({ status, at, when }) => (
        <li
          key={status}
          class={`step ${at}${at === "now" && OFF.has(status) ? " off" : ""}`}
          aria-current={at === "now" ? "step" : undefined}
        >
          <span class="dot">{at === "done" ? <Icon name="check" /> : OFF.has(status) && at === "now" && <Icon name="cross" />}</span>
          <span class="step-name">{status === "pending_payment" && at === "done" ? words.order.ordered : words.status[status]}</span>
          {when && <time dateTime={when}>{toTheSecond(when).split(/,? /).at(-1)}</time>}
        </li>
      ))}
    </ol>
  );
}
