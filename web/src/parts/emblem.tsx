/** A product's sign, made of its name: shops of codes have no pictures. */

import type { Product } from "../shapes";

const TINTS = 5;

export function Emblem({ product }: { product: Pick<Product, "sku" | "name"> }) {
  const sum = [...product.sku].reduce((all, each) => (all * 31 + each.charCodeAt(0)) >>> 0, 7);
  return (
    <span class={`emblem tint-${sum % TINTS}`} aria-hidden="true">
      {initials(product.name)}
    </span>
  );
}

/** One Chinese character, or up to two Latin initials. */
function initials(name: string): string {
  const first = name.trim()[0] ?? "";
  if (!/[a-z]/i.test(first)) return first;
  return name
    .split(/[^a-z]+/i)
    .filter(Boolean)
    .slice(0, 2)
    .map((word) => word[0]?.toUpperCase())
    .join("");
}
