/**
 * One attempt to order: its Idempotency-Key and its body, kept in this tab from the first tap until an answer is known.
 *
 * A double tap, a lost answer or a reload sends the same key and body again, which find the same order.
 */

import type { OrderRequest } from "./shapes";

export interface Attempt {
  key: string;
  body: OrderRequest;
  at: number; // milliseconds
}

const PATIENCE = 10 * 60_000; // after that nobody remembers what was tapped: the order may be over

const name = (sku: string) => `attempt:${sku}`;
const memory = new Map<string, Attempt>();

/** The attempt without an answer, if there is one. */
export function pending(sku: string, now = Date.now()): Attempt | undefined {
  const kept = memory.get(sku) ?? stored(sku);
  return kept && now - kept.at < PATIENCE ? kept : undefined;
}

/** The attempt to send now: the pending one if it is for the same, else a new one. */
export function begin(sku: string, body: OrderRequest, now = Date.now()): Attempt {
  const before = pending(sku, now);
  if (before && JSON.stringify(before.body) === JSON.stringify(body)) return before;
  const attempt = { key: crypto.randomUUID(), body, at: now };
  memory.set(sku, attempt);
  try {
    sessionStorage.setItem(name(sku), JSON.stringify(attempt));
  } catch {
    // Blocked: it lives as long as the page, and a reload finds no attempt at all.
  }
  return attempt;
}

/** Its answer is known: the order's, or a refusal of which nothing was written. */
export function end(sku: string): void {
  memory.delete(sku);
  try {
    sessionStorage.removeItem(name(sku));
  } catch {
    // Blocked: nothing was kept.
  }
}

function stored(sku: string): Attempt | undefined {
  try {
    const text = sessionStorage.getItem(name(sku));
    return text ? (JSON.parse(text) as Attempt) : undefined;
  } catch {
    return undefined;
  }
}
