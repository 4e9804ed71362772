/** Whether this browser thinks that it has a network. */

import { signal } from "@preact/signals";
import { age } from "./show";
import { t } from "./words";

export const online = signal(navigator.onLine);

addEventListener("online", () => (online.value = true));
addEventListener("offline", () => (online.value = false));

/** How old what was seen then is, in words; undefined while it may pass for new: seen within a minute, with a network. */
export const outdated = (at: number): string | undefined =>
  age(at) ?? (online.value ? undefined : t().offline.recent);
