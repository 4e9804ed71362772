import type { Mode } from "../push";
import { t } from "../words";

/** How fresh the page is: pushed, asked for with pauses, or not at all. */
export function Live({ mode }: { mode: Mode }) {
  const words = t().live;
  return (
    <p class={`live ${mode.kind}`}>
      <span class="live-dot" aria-hidden="true" />
      {mode.kind === "asking" ? words.asking(mode.seconds) : words[mode.kind]}
    </p>
  );
}
