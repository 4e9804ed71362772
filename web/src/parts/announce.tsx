/** What happened by itself or after a tap: said to a screen reader, and shown for a moment. */

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

const said = signal("");
const shown = signal("");

/** Politely: it does not interrupt. The same words twice are said twice. */
export function announce(words: string): void {
  said.value = "";
  setTimeout(() => (said.value = words), 50);
}

/** The same, and everybody sees it. */
export function tell(words: string): void {
  announce(words);
  shown.value = words;
}

const MOMENT = 3000;

export function Announcer() {
  useEffect(() => {
    if (!shown.value) return;
    const timer = setTimeout(() => (shown.value = ""), MOMENT);
    return () => clearTimeout(timer);
  }, [shown.value]);
  return (
    <>
      <p class="unseen" role="status" aria-live="polite">
        {said}
      </p>
      {shown.value && (
        <p class="toast" aria-hidden="true">
          {shown}
        </p>
      )}
    </>
  );
}
