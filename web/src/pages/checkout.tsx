/** `/checkout/{sku}`: how to pay, and the order placed exactly once however often it is tapped or reloaded. */

import { useSignal } from "@preact/signals";
import { useLocation } from "preact-iso";
import { useEffect, useRef } from "preact/hooks";
import * as api from "../api";
import { type Problem, problemOf } from "../api";
import * as attempts from "../attempt";
import { Field, focusWrong } from "../parts/field";
import { Emblem } from "../parts/emblem";
import { Heading, Loading } from "../parts/heading";
import { useTitle } from "../parts/hooks";
import { ChannelPicker } from "../parts/picker";
import { ProblemNote, ProblemState, State } from "../parts/state";
import type { OrderRequest } from "../shapes";
import { money, times } from "../show";
import { deviceId, terminal } from "../terminal";
import { adopt } from "../store";
import { t } from "../words";
import { useProduct } from "./product";

const EMAIL = /^[^@\s]+@[^@\s]+\.[^@\s]+$/;

export default function Checkout({ sku, query }: { sku: string; query: Record<string, string> }) {
  const words = t().checkout;
  const { route } = useLocation();
  const { product, problem, ask } = useProduct(sku);
  const unanswered = attempts.pending(sku);
  const channel = useSignal(unanswered?.body.channel ?? "");
  const email = useSignal(unanswered?.body.contact?.email ?? "");
  const password = useSignal(unanswered?.body.query_password ?? "");
  const wrongEmail = useSignal(false);
  const sending = useSignal(false);
  const resumed = useSignal(false);
  const refused = useSignal<Problem | undefined>(undefined);
  const button = useRef<HTMLButtonElement>(null);
  const wanted = Math.max(1, Math.floor(Number(query["quantity"])) || 1);
  const quantity = unanswered?.body.items[0]?.quantity ?? wanted;
  useTitle(words.title);

  const send = async (body: OrderRequest) => {
    const attempt = attempts.begin(sku, body);
    sending.value = true;
    refused.value = undefined;
    try {
      const placed = await api.placeOrder(attempt.key, attempt.body);
      await adopt(placed.trade_id, placed.token, placed.payment);
      attempts.end(sku);
      route(`/orders/${placed.trade_id}`, true);
      scrollTo(0, 0);
    } catch (error) {
      const told = problemOf(error);
      if (told.open) button.current?.focus(); // what can be done now is to go on: the rest stands as it was sent
      else attempts.end(sku); // refused whole: nothing was written
      refused.value = told;
      resumed.value = false;
      sending.value = false;
    }
  };

  useEffect(() => {
    if (!unanswered || quantity !== wanted) return; // a reload asks for as many; somebody who wants others is asked first
    resumed.value = true;
    void send(unanswered.body);
  }, []);

  const submit = async (event: SubmitEvent & { currentTarget: HTMLFormElement }) => {
    event.preventDefault();
    if (sending.value) return;
    const form = event.currentTarget;
    wrongEmail.value = email.value !== "" && !EMAIL.test(email.value);
    if (wrongEmail.value) return focusWrong(form);
    sending.value = true;
    await send(
      attempts.pending(sku)?.body ?? {
        items: [{ sku, quantity }],
        channel: channel.value,
        terminal: terminal(),
        device_id: await deviceId(),
        ...(email.value ? { contact: { email: email.value } } : {}),
        ...(password.value ? { query_password: password.value } : {}),
      },
    );
  };

  if (resumed.value)
    return (
      <div role="status">
        <State page title={words.sending} next={words.resuming} />
      </div>
    );
  if (!product) {
    if (problem?.code === "not_found")
      return <State page title={t().product.missing} next={t().product.missingNext} action={<a class="button" href="/">{t().product.toShop}</a>} />;
    if (problem) return <ProblemState page problem={problem} retry={ask} />;
    return <Loading title={words.title} label={t().loading} />;
  }

  const total = money(times(product.price, quantity));
  return (
    <form class="checkout" onSubmit={submit} noValidate>
      <header>
        <Heading>{words.title}</Heading>
      </header>
      <fieldset class="panel" disabled={Boolean(unanswered) && !sending.value}>
        <ChannelPicker currency={product.price.currency} chosen={channel} />
        <details open={Boolean(unanswered)}>
          <summary>{words.extras}</summary>
          <Field
            label={words.email}
            value={email}
            hint={words.emailHint}
            wrong={wrongEmail.value ? words.emailWrong : undefined}
            type="email"
            autoComplete="email"
            maxLength={254}
          />
          <Field
            label={words.password}
            value={password}
            hint={words.passwordHint}
            type="password"
            autoComplete="new-password"
            maxLength={256}
          />
        </details>
      </fieldset>
      <section class="stub">
        <div class="line-item">
          <Emblem product={product} />
          <span>
            <strong>{product.name}</strong>
            <small>
              {money(product.price)} × {quantity}
            </small>
          </span>
        </div>
        <p class="row apart total">
          <span>{t().product.total}</span>
          <span class="price large">{total}</span>
        </p>
        <ProblemNote problem={refused.value} />
        {unanswered && !sending.value && (
          <p class="note">
            {words.unanswered} {quantity !== wanted && words.unansweredOther(quantity)}
          </p>
        )}
        <button ref={button} type="submit" class="button wide-button" disabled={!channel.value} aria-busy={sending.value}>
          {sending.value ? words.sending : words.submit(total)}
        </button>
        <small class="hint">{words.hold}</small>
      </section>
    </form>
  );
}
