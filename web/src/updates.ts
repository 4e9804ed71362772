/** The Service Worker: it keeps the pages for offline, and says when newer ones are ready. */

import { signal } from "@preact/signals";
import { registerSW } from "virtual:pwa-register";

/** Set when newer pages wait: calling it loads them. */
export const update = signal<(() => void) | undefined>(undefined);

export function keepUpToDate(): void {
  if (!import.meta.env.PROD) return;
  const register = () => {
    const reload = registerSW({
      onNeedRefresh: () => (update.value = () => void reload(true)),
      onRegisterError: () => undefined, // a private window may refuse: the pages work without it
    });
  };
  addEventListener("load", register, { once: true }); // what the page itself waits for comes first
}
