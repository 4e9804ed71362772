/** Two accounts of one order: the greater version is the later one, wherever it came from. */

import type { Change, Order, Pushed } from "./shapes";

/** The later of what is known and what a GET answered. */
export const later = (known: Order | undefined, told: Order): Order =>
  known && known.version > told.version ? known : told;

/** What a push makes of what is known: undefined if it is no news. `gap`: changes between the two were not seen. */
export function pushed(known: Order, message: Pushed): { order: Order; gap: boolean } | undefined {
  if (message.trade_id !== known.trade_id || message.version <= known.version) return undefined;
  return {
    order: { ...message.order, timeline: added(known.timeline, message.change) },
    gap: message.version > known.version + 1,
  };
}

function added(timeline: Change[], change: Change): Change[] {
  const others = timeline.filter((each) => each.version !== change.version);
  return [...others, change].sort((a, b) => a.version - b.version);
}
