/** `/orders`: the orders of this device, as last seen at once, asked again behind. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { online, outdated } from "../online";
import { tell } from "../parts/announce";
import { Sure } from "../parts/dialog";
import { Heading, refocus } from "../parts/heading";
import { useTitle } from "../parts/hooks";
import { Icon } from "../parts/icons";
import { State } from "../parts/state";
import { Stamp } from "../parts/stamp";
import { moment, money } from "../show";
import * as store from "../store";
import { reconcile } from "../trades";
import { t } from "../words";

export default function Orders() {
  const words = t().orders;
  const kept = useSignal<store.KeptOrder[] | undefined>(undefined);
  const forgetting = useSignal<string | undefined>(undefined);
  useTitle(words.title);

  useEffect(() => {
    const ask = () => {
      if (document.visibilityState === "hidden") return;
      void store.orders().then((found) => {
        kept.value = found;
        void reconcile((now) => {
          kept.value = kept.value?.map((each) => (each.trade_id === now.trade_id ? now : each));
        });
      });
    };
    ask();
    document.addEventListener("visibilitychange", ask); // whoever has paid in another tab comes back
    return () => document.removeEventListener("visibilitychange", ask);
  }, [online.value]);

  const forget = async () => {
    const gone = forgetting.value;
    if (!gone) return;
    await store.forgetOrder(gone);
    kept.value = kept.value?.filter((each) => each.trade_id !== gone);
    tell(words.forgotten);
    requestAnimationFrame(refocus);
  };

  return (
    <>
      <header class="hero">
        <Heading>{words.title}</Heading>
        <p>{words.lead}</p>
      </header>
      {!online.value && kept.value && kept.value.length > 0 && (
        <p class="note warn" role="status">
          <strong>{t().offline.now}</strong>
        </p>
      )}
      {!kept.value && <div class="sheet skeleton" role="status" aria-label={t().loading} />}
      {kept.value?.length === 0 && (
        <State
          title={words.empty}
          next={words.emptyNext}
          action={
            <>
              <a class="button" href="/">
                {words.toShop}
              </a>
              <a class="button quiet" href="/find">
                {t().order.find}
              </a>
            </>
          }
        />
      )}
      {kept.value && kept.value.length > 0 && (
        <ul class="order-list">
          {kept.value.map((each) => (
            <li key={each.trade_id} class="order-row">
              <Row kept={each} />
              <button
                type="button"
                class="plain icon-only"
                aria-label={`${words.forget} ${each.trade_id}`}
                title={words.forget}
                onClick={() => (forgetting.value = each.trade_id)}
              >
                <Icon name="cross" />
              </button>
            </li>
          ))}
        </ul>
      )}
      <Sure
        title={words.forgetSure}
        why={words.forgetWhy}
        yes={words.forgetYes}
        no={words.forgetNo}
        danger
        open={forgetting.value !== undefined}
        onYes={() => void forget()}
        onClose={() => (forgetting.value = undefined)}
      />
    </>
  );
}

function Row({ kept: { trade_id, order, seen_at, added_at } }: { kept: store.KeptOrder }) {
  const words = t();
  const first = order?.items[0];
  const stale = seen_at && outdated(seen_at);
  return (
    <a href={`/orders/${trade_id}`}>
      <span class="order-what">
        <strong>{first ? `${first.name} × ${first.quantity}` : trade_id}</strong>
        <small>
          {moment(order?.created_at ?? added_at)}
          {order && order.items.length > 1 && ` · ${words.orders.more(order.items.length)}`}
          {stale && ` · ${words.offline.order(stale)}`}
        </small>
        <small class="mono">{trade_id}</small>
      </span>
      <span class="order-state">
        {order && <Stamp order={order} />}
        {order && <span class="price">{money(order.amount)}</span>}
      </span>
    </a>
  );
}
