/** `/orders/{trade_id}`: one order, live: where it stands, what to do next, and everything that happened. */

import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import * as api from "../api";
import { type Problem, problemOf } from "../api";
import { online, outdated } from "../online";
import { announce } from "../parts/announce";
import { Cards, copy } from "../parts/cards";
import { Dialog, Sure } from "../parts/dialog";
import { HandOffCode } from "../parts/handoff";
import { Heading, refocus } from "../parts/heading";
import { useTitle } from "../parts/hooks";
import { Icon } from "../parts/icons";
import { Live } from "../parts/live";
import { Pay } from "../parts/pay";
import { Stamp } from "../parts/stamp";
import { ProblemNote, ProblemState, State } from "../parts/state";
import { Stepper } from "../parts/stepper";
import { Payments, Timeline } from "../parts/timeline";
import type { Order } from "../shapes";
import { money, moment, practise, times } from "../show";
import { standing, steps } from "../steps";
import { type KeptOrder, remembers } from "../store";
import { type Trade, watch } from "../trades";
import { t } from "../words";

setTimeout(practise); // while the order is on its way, not once it is there

export default function OrderPage({ trade: tradeId }: { trade: string }) {
  const words = t();
  const trade = useMemo(() => watch(tradeId), [tradeId]);
  useEffect(() => trade.close, [trade]);
  const kept = trade.kept.value;
  const order = kept?.order;
  const expired = trade.refused.value;
  const now = order && standing(order);
  useTitle(now ? words.status[now] : words.order.title);

  const before = useRef(now);
  useEffect(() => {
    if (now && before.current && now !== before.current) {
      announce(words.order.nowIs(words.status[now]));
      refocus();
    }
    before.current = now;
  }, [now]);

  const find = (
    <a class="button" href={`/find?order=${tradeId}`}>
      {words.order.find}
    </a>
  );
  if (kept === null)
    return (
      <State
        page
        title={words.order.missing}
        next={remembers.value ? words.order.missingNext : words.order.missingUnkept}
        action={find}
      />
    );
  if (expired && !order) return <State page title={words.order.expired} next={words.order.expiredNext} action={find} />;
  return (
    <article class="order">
      <header class="order-head">
        <div>
          <Heading>{words.order.title}</Heading>
          <Live mode={trade.mode.value} />
        </div>
        {order && <Stamp order={order} />}
      </header>
      {kept && <Stale kept={kept} live={trade.mode.value.kind === "live"} />}
      {expired && (
        <div class="note warn" role="alert">
          <p>
            <strong>{words.order.expired}</strong> {words.order.expiredNext}
          </p>
          {find}
        </div>
      )}
      {kept && order ? (
        <Shown trade={trade} kept={kept} order={order} />
      ) : trade.failed.value ? (
        <ProblemState problem={trade.failed.value} retry={() => void trade.refresh().catch(() => undefined)} />
      ) : (
        <div class="sheet skeleton" role="status" aria-label={words.loading} />
      )}
    </article>
  );
}

/** How old the page is, where nobody vouches for it now. */
function Stale({ kept: { seen_at, order }, live }: { kept: KeptOrder; live: boolean }) {
  const words = t().offline;
  if (!order || !seen_at || live) return null;
  const old = outdated(seen_at);
  if (!old) return null;
  return (
    <p class="note warn" role="status">
      {!online.value && <strong>{words.now} </strong>}
      {words.order(old)}
    </p>
  );
}

function Shown({ trade, kept, order }: { trade: Trade; kept: KeptOrder; order: Order }) {
  const words = t();
  const now = standing(order);
  return (
    <div class="order-grid">
      <div class="order-main">
        <section class="sheet">
          <Stepper steps={steps(order)} />
          <p class="story">{words.story[now]}</p>
        </section>
        {order.status === "pending_payment" && (
          <Pay trade={trade} order={order} token={kept.token} kept={kept.payment} />
        )}
        {(now === "delivered" || now === "completed") && <Cards order={order} token={kept.token} />}
        <Actions trade={trade} order={order} token={kept.token} />
      </div>
      <aside class="order-side">
        <Summary order={order} />
        <Payments payments={order.payments} />
        <Timeline changes={order.timeline} />
      </aside>
    </div>
  );
}

function Summary({ order }: { order: Order }) {
  const words = t();
  return (
    <section class="stub">
      {order.items.map((item) => (
        <div key={item.sku} class="line-item">
          <span>
            <strong>{item.name}</strong>
            <small>
              {money(item.price)} × {item.quantity}
            </small>
          </span>
          <span class="price">{money(times(item.price, item.quantity))}</span>
        </div>
      ))}
      <dl class="pairs">
        <div class="total">
          <dt>{words.order.amount}</dt>
          <dd class="price large">{money(order.amount)}</dd>
        </div>
        <div>
          <dt>{words.order.placed}</dt>
          <dd>{moment(order.created_at)}</dd>
        </div>
        <div>
          <dt>{words.order.number}</dt>
          <dd>
            <span class="mono">{order.trade_id}</span>{" "}
            <button
              type="button"
              class="link"
              aria-label={`${words.copy} ${words.order.number}`}
              onClick={() => void copy(order.trade_id)}
            >
              {words.copy}
            </button>
          </dd>
        </div>
      </dl>
    </section>
  );
}

function Actions({ trade, order, token }: { trade: Trade; order: Order; token: string }) {
  const words = t().order;
  const handing = useSignal(false);
  const cancelling = useSignal(false);
  const confirming = useSignal(false);
  const busy = useSignal(false);
  const problem = useSignal<Problem | undefined>(undefined);

  const act = async (what: typeof api.cancel) => {
    busy.value = true;
    problem.value = undefined;
    try {
      await what(order.trade_id, token);
    } catch (error) {
      problem.value = problemOf(error);
    }
    await trade.refresh().catch(() => undefined);
    busy.value = false;
  };

  return (
    <>
      <ProblemNote problem={problem.value} />
      <div class="row actions">
        <button type="button" class="button quiet" onClick={() => (handing.value = true)}>
          <Icon name="phone" />
          {words.handOff}
        </button>
        {order.status === "pending_payment" && (
          <button
            type="button"
            class="button quiet"
            aria-busy={busy.value}
            onClick={() => !busy.value && (cancelling.value = true)}
          >
            {words.cancel}
          </button>
        )}
        {standing(order) === "delivered" && (
          <button
            type="button"
            class="button quiet"
            aria-busy={busy.value}
            onClick={() => !busy.value && (confirming.value = true)}
          >
            <Icon name="check" />
            {words.confirm}
          </button>
        )}
        {order.items[0] && ["completed", "closed", "refunded"].includes(order.status) && (
          <a class="button quiet" href={`/products/${encodeURIComponent(order.items[0].sku)}`}>
            {words.again}
          </a>
        )}
      </div>
      <Dialog title={t().handOff.title} open={handing.value} onClose={() => (handing.value = false)}>
        <HandOffCode tradeId={order.trade_id} token={token} />
      </Dialog>
      <Sure
        title={words.cancelSure}
        why={words.cancelWhy}
        yes={words.cancelYes}
        no={words.cancelNo}
        danger
        open={cancelling.value}
        onYes={() => void act(api.cancel)}
        onClose={() => (cancelling.value = false)}
      />
      <Sure
        title={words.confirmSure}
        why={words.confirmWhy}
        yes={words.confirmYes}
        no={words.confirmNo}
        open={confirming.value}
        onYes={() => void act(api.confirm)}
        onClose={() => (confirming.value = false)}
      />
    </>
  );
}
