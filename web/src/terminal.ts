/** Which terminal this is, and a name for this device that says nothing about its owner. */

import * as store from "./store";
import type { Terminal } from "./shapes";

export function terminal(): Terminal {
  const hints = (navigator as { userAgentData?: { mobile: boolean } }).userAgentData;
  if (hints) return hints.mobile ? "mobile" : "pc";
  return /Android|iPhone|iPod|Mobile|HarmonyOS/i.test(navigator.userAgent) ? "mobile" : "pc";
}

let known: Promise<string> | undefined;

/** Made once, kept in this browser. */
export function deviceId(): Promise<string> {
  known ??= store.setting("device").then(async (kept) => {
    const id = kept ?? crypto.randomUUID();
    if (!kept) await store.set("device", id);
    return id;
  });
  return known;
}
