/** How this order is paid from here: a page, a QR code, a form or an app; or another way. */

import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import * as api from "../api";
import { type Problem, problemOf } from "../api";
import { called, load } from "../channels";
import type { Order, Session } from "../shapes";
import { clock, money } from "../show";
import { remembers } from "../store";
import { terminal } from "../terminal";
import type { Trade } from "../trades";
import { t } from "../words";
import { Dialog } from "./dialog";
import { useServerNow } from "./hooks";
import { Icon } from "./icons";
import { ChannelPicker } from "./picker";
import { Qr } from "./qr";
import { ProblemNote } from "./state";

export function Pay({ trade, order, token, kept }: { trade: Trade; order: Order; token: string; kept: Session | undefined }) {
  const words = t();
  const choosing = useSignal(false);
  const channel = useSignal("");
  const opening = useSignal(false);
  const problem = useSignal<Problem | undefined>(undefined);
  const way = useRef<HTMLElement>(null);
  const unpaid = order.payments.filter((each) => each.state === "open");
  const shown = unpaid.some((each) => each.payment_id === kept?.payment_id) ? kept : undefined;
  const last = unpaid.at(-1) ?? order.payments.at(-1);
  const label = useComputed(() => (last ? called(last.channel) : ""));
  useEffect(() => {
    void load();
  }, []);

  /** The button that was pressed may be gone, now or once the order is asked for. */
  const goOn = () =>
    requestAnimationFrame(() => {
      if (document.activeElement === document.body) way.current?.querySelector<HTMLElement>("a, button")?.focus();
    });

  const open = async (through: string) => {
    if (opening.value) return;
    opening.value = true;
    problem.value = undefined;
    try {
      const { payment } = await api.pay(order.trade_id, token, through);
      await trade.paying(payment);
      choosing.value = false;
      goOn();
    } catch (error) {
      problem.value = problemOf(error);
    }
    opening.value = false;
    await trade.refresh().catch(() => undefined);
    goOn();
  };

  return (
    <section ref={way} class="panel pay" aria-label={words.pay.title}>
      <TimeLeft until={order.expires_at} />
      <p class="pay-what">
        <span class="price large">{money(order.due ?? order.amount)}</span>
        {label.value && <span class="hint">{label}</span>}
      </p>
      {order.due && <p class="note warn">{words.paymentNext["short"]}</p>}
      {shown && !shown.unavailable && <Way session={shown} />}
      {!shown && last && (
        <>
          <button type="button" class="button wide-button" onClick={() => void open(last.channel)}>
            {opening.value ? words.pay.opening : words.pay.show}
          </button>
          {order.terminal !== terminal() && <small class="hint">{words.pay.showHint}</small>}
        </>
      )}
      {shown?.unavailable && last && (
        <div class="note warn">
          <p>{words.pay.unavailable}</p>
          <button type="button" class="button quiet" onClick={() => void open(last.channel)}>
            {opening.value ? words.pay.opening : words.retry}
          </button>
        </div>
      )}
      {!choosing.value && <ProblemNote problem={problem.value} />}
      <button type="button" class="link" onClick={() => (choosing.value = true)}>
        {words.pay.another}
      </button>
      <Dialog title={words.pay.choose} open={choosing.value} onClose={() => (choosing.value = false)}>
        <ChannelPicker currency={order.amount.currency} chosen={channel} />
        <ProblemNote problem={problem.value} />
        <div class="row end">
          <button
            type="button"
            class="button"
            disabled={!channel.value}
            aria-busy={opening.value}
            onClick={() => void open(channel.value)}
          >
            {opening.value ? words.pay.opening : words.pay.chooseGo}
          </button>
        </div>
      </Dialog>
    </section>
  );
}

function TimeLeft({ until }: { until: string }) {
  const left = Date.parse(until) - useServerNow();
  const words = t().order;
  return left > 0 ? (
    <p class="row apart time-left">
      <span>{words.timeLeft}</span>
      <span role="timer" class={left < 60_000 ? "clock soon" : "clock"}>
        {clock(left)}
      </span>
    </p>
  ) : (
    <p class="note warn">{words.timeOver}</p>
  );
}

/** A buyer's browser follows what the API names only to pages and to the two wallets' own apps. */
const PAGE = /^https?:\/\//;
const APP = /^(https|weixin|alipays?|wxp):\/\//;

function Way({ session }: { session: Session }) {
  const words = t().pay;
  const phone = terminal() === "mobile";
  // Where nothing is remembered, leaving this page would lose the order.
  const target = phone && remembers.value ? "_self" : "_blank";
  const hint = <small class="hint">{target === "_blank" ? words.goHint : words.goHintHere}</small>;

  if (session.qr_code)
    return (
      <div class="pay-qr">
        <Qr text={session.qr_code} label={words.scanLabel} />
        <p>{words.scan}</p>
        {phone && APP.test(session.qr_code) && (
          <a class="button quiet" href={session.qr_code} target={target} rel="noopener">
            {words.openApp}
          </a>
        )}
      </div>
    );
  if (session.redirect_url && PAGE.test(session.redirect_url))
    return (
      <>
        <a class="button wide-button" href={session.redirect_url} target={target} rel="noopener">
          {words.go}
          <Icon name="arrow" />
        </a>
        {hint}
      </>
    );
  const form = session.form ? parsed(session.form) : undefined;
  if (form)
    return (
      <form action={form.action} method={form.method} target={target}>
        {form.fields.map(([name, value]) => (
          <input key={name} type="hidden" name={name} value={value} />
        ))}
        <button type="submit" class="button wide-button">
          {words.go}
          <Icon name="arrow" />
        </button>
        {hint}
      </form>
    );
  if (session.app) return <InWeChat app={session.app} />;
  return <p class="note warn">{words.cannot}</p>;
}

/** The provider's form without its script: this page's own button sends it. */
function parsed(html: string): { action: string; method: "get" | "post"; fields: [string, string][] } | undefined {
  const form = new DOMParser().parseFromString(html, "text/html").querySelector("form");
  const action = form?.getAttribute("action") ?? "";
  if (!form || !PAGE.test(action)) return undefined;
  const fields = [...form.querySelectorAll<HTMLInputElement>("input[name]")].map(
    (each): [string, string] => [each.name, each.value],
  );
  return { action, method: form.method === "get" ? "get" : "post", fields };
}

interface Bridge {
  invoke(name: string, what: Record<string, string>, then: () => void): void;
}

function InWeChat({ app }: { app: Record<string, string> }) {
  const words = t().pay;
  const bridge = (window as { WeixinJSBridge?: Bridge }).WeixinJSBridge;
  if (!bridge) return <p class="note warn">{words.onlyWechat}</p>;
  return (
    <button
      type="button"
      class="button wide-button"
      onClick={() => bridge.invoke("getBrandWCPayRequest", app, () => undefined)}
    >
      {words.inWechat}
    </button>
  );
}
