/** The reader's language: what they chose, else the browser's. */

import { computed, signal } from "@preact/signals";
import * as preferences from "../preferences";
import en from "./en";
import zh, { type Words } from "./zh";

export type Language = "zh" | "en";

const languages: Record<Language, Words> = { zh, en };

const browsers = (): Language =>
  (navigator.languages.map((each) => each.slice(0, 2)).find((each) => each in languages) as Language | undefined) ?? "en";

const chosen = preferences.get("language");

export const language = signal<Language>(chosen === "zh" || chosen === "en" ? chosen : browsers());

const words = computed(() => languages[language.value]);

/** All the words. Read while rendering, so that a change of language renders anew. */
export const t = (): Words => words.value;

export function speak(next: Language): void {
  language.value = next;
  preferences.set("language", next);
}

/** A problem's sentence and its next step. */
export function explained(code: string): [say: string, next: string] {
  const known = t().problem;
  return known[code] ?? (known["other"] as [string, string]);
}
