/** The ways to pay, asked for once a page. */

import { signal } from "@preact/signals";
import * as api from "./api";
import { type Problem, problemOf } from "./api";
import type { Channel } from "./shapes";
import { t } from "./words";

export const channels = signal<Channel[] | undefined>(undefined);
export const problem = signal<Problem | undefined>(undefined);

export async function load(): Promise<void> {
  problem.value = undefined;
  try {
    channels.value = await api.channels();
  } catch (error) {
    problem.value = problemOf(error);
  }
}

/** What a buyer calls it: the operator's words, else the provider's own name. */
export function called(channel: string): string {
  const known = channels.value?.find((each) => each.channel === channel);
  return known?.title ?? t().channel[known?.provider ?? channel] ?? channel;
}
