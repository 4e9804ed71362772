/** `/`: everything on sale. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { categories, load, loading, matching, problem, products, seenAt } from "../catalogue";
import { online } from "../online";
import { Emblem } from "../parts/emblem";
import { Heading } from "../parts/heading";
import { useTitle } from "../parts/hooks";
import { Icon } from "../parts/icons";
import { ProblemState, State } from "../parts/state";
import { Stock } from "../parts/stock";
import type { Product } from "../shapes";
import { age, money } from "../show";
import { t } from "../words";

export function Shop() {
  const words = t().catalogue;
  const search = useSignal("");
  const category = useSignal<string | undefined>(undefined);
  useTitle(t().nav.shop);
  useEffect(() => {
    void load();
  }, [online.value]);

  const all = products.value;
  const kinds = all ? categories(all) : [];
  const found = all && matching(all, search.value, kinds.includes(category.value ?? "") ? category.value : undefined);
  const clear = () => {
    search.value = "";
    category.value = undefined;
  };

  return (
    <>
      <header class="hero">
        <Heading>{words.title}</Heading>
        <p>{words.lead}</p>
      </header>
      <div class="finder">
        <label class="search">
          <span class="unseen">{words.search}</span>
          <Icon name="search" />
          <input
            type="search"
            value={search.value}
            placeholder={words.searchHint}
            autoComplete="off"
            enterKeyHint="search"
            onInput={(event) => (search.value = event.currentTarget.value)}
          />
        </label>
        {kinds.length > 0 && (
          <div class="chips" role="group" aria-label={words.categories}>
            {[undefined, ...kinds].map((kind) => (
              <button
                key={kind ?? ""}
                type="button"
                class="chip"
                aria-pressed={category.value === kind}
                onClick={() => (category.value = kind)}
              >
                {kind ?? words.all}
              </button>
            ))}
          </div>
        )}
      </div>

      {all && (problem.value || !online.value) && (
        <p class="note warn" role="status">
          {!online.value && <strong>{t().offline.now} </strong>}
          {t().offline.catalogue(age(seenAt.value) ?? t().offline.recent)}{" "}
          <button type="button" class="link" disabled={loading.value} onClick={() => void load()}>
            {t().retry}
          </button>
        </p>
      )}

      {!found && problem.value && (
        <ProblemState problem={problem.value} title={words.failed} retry={() => void load()} />
      )}
      {!found && !problem.value && <Skeleton />}
      {all?.length === 0 && <State title={words.empty} next={words.emptyNext} />}
      {found && all && all.length > 0 && (
        <>
          <p class="unseen" role="status">
            {words.count(found.length)}
          </p>
          {found.length === 0 ? (
            <State
              title={words.none}
              next={words.noneNext}
              action={
                <button type="button" class="button quiet" onClick={clear}>
                  {words.clear}
                </button>
              }
            />
          ) : (
            <ul class="tickets">
              {found.map((each) => (
                <li key={each.sku}>
                  <Ticket product={each} />
                </li>
              ))}
            </ul>
          )}
        </>
      )}
    </>
  );
}

function Ticket({ product }: { product: Product }) {
  const gone = product.stock.level === "out_of_stock";
  return (
    <a class={gone ? "ticket gone" : "ticket"} href={`/products/${encodeURIComponent(product.sku)}`}>
      <span class="ticket-body">
        <Emblem product={product} />
        <span class="ticket-words">
          {product.category && <small>{product.category}</small>}
          <strong>{product.name}</strong>
        </span>
      </span>
      <span class="ticket-stub">
        <span class="price">{money(product.price)}</span>
        <Stock stock={product.stock} />
      </span>
    </a>
  );
}

function Skeleton() {
  return (
    <div class="tickets" role="status" aria-label={t().loading}>
      {[0, 1, 2, 3, 4, 5].map((each) => (
        <div key={each} class="ticket skeleton" />
      ))}
    </div>
  );
}
