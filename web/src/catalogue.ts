/** The catalogue: what was last seen at once, what is on sale now as soon as it is known. */

import { signal } from "@preact/signals";
import * as api from "./api";
import { type Problem, problemOf } from "./api";
import type { Channel, Product, Terminal } from "./shapes";
import * as store from "./store";

export const products = signal<Product[] | undefined>(undefined);
export const seenAt = signal(0); // milliseconds, this machine's clock
export const problem = signal<Problem | undefined>(undefined);
export const loading = signal(false);

export async function load(): Promise<void> {
  if (loading.value) return;
  loading.value = true;
  const remembered = products.value ? undefined : store.catalogue();
  const asked = api.products();
  void remembered?.then((kept) => {
    if (!kept || products.value) return;
    products.value = kept.products;
    seenAt.value = kept.seen_at;
  });
  try {
    products.value = await asked;
    seenAt.value = Date.now();
    problem.value = undefined;
    void store.keepCatalogue(products.value);
  } catch (error) {
    await remembered;
    problem.value = problemOf(error);
  } finally {
    loading.value = false;
  }
}

/** The product as last seen; for the one on sale now, `api.product`. */
export const known = (sku: string): Product | undefined => products.value?.find((each) => each.sku === sku);

export const categories = (all: Product[]): string[] => [
  ...new Set(all.map((each) => each.category).filter((each) => each !== undefined)),
];

/** Those whose words hold every word of the search. */
export function matching(all: Product[], search: string, category?: string): Product[] {
  const words = search.trim().toLowerCase().split(/\s+/).filter(Boolean);
  return all.filter((each) => {
    if (category !== undefined && each.category !== category) return false;
    const text = `${each.name} ${each.sku} ${each.category ?? ""} ${each.description ?? ""}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/** The channels a buyer at this terminal can pay this currency with. */
export function fitting(all: Channel[], terminal: Terminal, currency: string): Channel[] {
  return all.filter((each) => {
    const currencies = each.currencies ?? (each.currency ? [each.currency] : undefined);
    return each.terminals.includes(terminal) && (!currencies || currencies.includes(currency));
  });
}
