/** Light or dark: the system's, unless the reader chose. */

import { effect, signal } from "@preact/signals";
import * as preferences from "./preferences";

export type Theme = "system" | "light" | "dark";

const chosen = preferences.get("theme");

export const theme = signal<Theme>(chosen === "light" || chosen === "dark" ? chosen : "system");

export function choose(next: Theme): void {
  theme.value = next;
  preferences.set("theme", next);
}

effect(() => {
  const root = document.documentElement;
  if (theme.value === "system") delete root.dataset["theme"];
  else root.dataset["theme"] = theme.value;
});
