/**
 * Two accounts of one order: the greater version is the later one, wherever it came from. A change is never taken back:
 * the timeline is written a moment after its order, so a later account may lack a line that an earlier one has.
 */

import type { Change, Order, Pushed } from "./shapes";

/** The later of what is known and what a GET answered. */
export function later(known: Order | undefined, told: Order): Order {
  if (!known) return told;
  const order = known.version > told.version ? known : told;
  const other = order === known ? told : known;
  return { ...order, timeline: other.timeline.reduce(added, order.timeline) };
}

/** Whether every change up to its version is known: if not, an answer of the same version may bring what is missing. */
export const whole = (order: Order): boolean => order.timeline.length === order.version;

/** What a push makes of what is known: undefined if it is no news. `gap`: changes between the two were not seen. */
export function pushed(known: Order, message: Pushed): { order: Order; gap: boolean } | undefined {
  if (message.trade_id !== known.trade_id) return undefined;
  if (message.version <= known.version) {
    if (known.timeline.some((each) => each.version === message.version)) return undefined;
    return { order: { ...known, timeline: added(known.timeline, message.change) }, gap: false };
  }
  return {
    order: { ...message.order, timeline: added(known.timeline, message.change) },
    gap: message.version > known.version + 1,
  };
}

function added(timeline: Change[], change: Change): Change[] {
  const others = timeline.filter((each) => each.version !== change.version);
  return [...others, change].sort((a, b) => a.version - b.version);
}
