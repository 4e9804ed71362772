import type { Signal } from "@preact/signals";
import { useId } from "preact/hooks";
import { t } from "../words";

/** How many cards: 1 to `most`, by button or by hand. */
export function Quantity({ value, most }: { value: Signal<number>; most: number }) {
  const words = t().product;
  const id = useId();
  const set = (next: number) => (value.value = Math.min(most, Math.max(1, Math.round(next) || 1)));
  return (
    <div class="row apart">
      <label for={id}>
        {words.quantity} <small class="hint">{words.left(most)}</small>
      </label>
      <div class="quantity">
        <button type="button" aria-label={words.fewer} disabled={value.value <= 1} onClick={() => set(value.value - 1)}>
          −
        </button>
        <input
          id={id}
          inputMode="numeric"
          autoComplete="off"
          value={value.value}
          onChange={(event) => (event.currentTarget.value = String(set(Number(event.currentTarget.value))))}
        />
        <button type="button" aria-label={words.more} disabled={value.value >= most} onClick={() => set(value.value + 1)}>
          +
        </button>
      </div>
    </div>
  );
}
