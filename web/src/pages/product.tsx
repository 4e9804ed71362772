/** `/products/{sku}`: one product, and how many of it. */

import { useSignal } from "@preact/signals";
import { useLocation } from "preact-iso";
import { useEffect } from "preact/hooks";
import * as api from "../api";
import { Problem } from "../api";
import { known, load, products } from "../catalogue";
import { online } from "../online";
import { Emblem } from "../parts/emblem";
import { Heading, Loading } from "../parts/heading";
import { useTitle } from "../parts/hooks";
import { Icon } from "../parts/icons";
import { Quantity } from "../parts/quantity";
import { ProblemNote, ProblemState, State } from "../parts/state";
import { Stock } from "../parts/stock";
import type { Product } from "../shapes";
import { money, times } from "../show";
import { t } from "../words";

/** The product as last seen at once, as it is now when the server has answered. */
export function useProduct(sku: string) {
  const fresh = useSignal<Product | undefined>(undefined);
  const problem = useSignal<Problem | undefined>(undefined);
  const ask = () => {
    problem.value = undefined;
    api.product(sku).then(
      (told) => (fresh.value = told),
      (error: Problem) => {
        problem.value = error;
        if (!products.value) void load(); // what was last seen of it is better than nothing
      },
    );
  };
  useEffect(ask, [sku, online.value]);
  const shown = fresh.value?.sku === sku ? fresh.value : known(sku);
  return { product: problem.value?.code === "not_found" ? undefined : shown, problem: problem.value, ask };
}

export default function ProductPage({ sku }: { sku: string }) {
  const words = t().product;
  const { route } = useLocation();
  const { product, problem, ask } = useProduct(sku);
  const quantity = useSignal(1);
  useTitle(product?.name ?? (problem?.code === "not_found" ? words.missing : words.one));

  if (!product) {
    if (problem?.code === "not_found")
      return (
        <State page title={words.missing} next={words.missingNext} action={<a class="button" href="/">{words.toShop}</a>} />
      );
    if (problem) return <ProblemState page problem={problem} retry={ask} />;
    return <Loading title={words.one} label={t().loading} />;
  }

  const most = product.stock.quantity;
  const many = Math.min(quantity.value, Math.max(1, most));
  const buy = (event: Event) => {
    event.preventDefault();
    route(`/checkout/${encodeURIComponent(sku)}?quantity=${many}`);
  };
  return (
    <article class="product">
      <div class="about">
        <header>
          <Emblem product={product} />
          <div>
            {product.category && <small class="kind">{product.category}</small>}
            <Heading>{product.name}</Heading>
          </div>
        </header>
        {product.description && <p class="description">{product.description}</p>}
        <ul class="facts">
          {(["bolt", "lock", "phone"] as const).map((icon, n) => (
            <li key={icon}>
              <Icon name={icon} />
              {words.facts[n]}
            </li>
          ))}
        </ul>
      </div>
      <form class="stub" onSubmit={buy}>
        <p class="row apart">
          <span class="price large">{money(product.price)}</span>
          <Stock stock={product.stock} />
        </p>
        {most > 0 && (
          <>
            <Quantity value={quantity} most={most} />
            <p class="row apart total">
              <span>{words.total}</span>
              <span class="price">{money(times(product.price, many))}</span>
            </p>
          </>
        )}
        <ProblemNote problem={problem} />
        <button type="submit" class="button wide-button" disabled={most === 0}>
          {most === 0 ? words.soldOut : words.buy}
          {most > 0 && <Icon name="arrow" />}
        </button>
      </form>
    </article>
  );
}
