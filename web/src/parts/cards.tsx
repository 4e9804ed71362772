/**
 * The codes of a delivered order. They are asked for only on a tap, since each opening is recorded, and live in this
 * page until it is left; kept they are only if the buyer asks, sealed with a passphrase.
 */

import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import * as api from "../api";
import { type Problem, problemOf } from "../api";
import * as box from "../box";
import type { Card, Order } from "../shapes";
import * as store from "../store";
import { t } from "../words";
import { tell } from "./announce";
import { Dialog, Sure } from "./dialog";
import { Field, focusWrong } from "./field";
import { Icon } from "./icons";
import { ProblemNote } from "./state";

export function Cards({ order, token }: { order: Order; token: string }) {
  const words = t().cards;
  const cards = useSignal<Card[] | undefined>(undefined);
  const sealed = useSignal<box.Sealed | undefined>(undefined);
  const asking = useSignal(false);
  const keeping = useSignal(false);
  const unsealing = useSignal(false);
  const opening = useSignal(false);
  const problem = useSignal<Problem | undefined>(undefined);
  const title = useRef<HTMLHeadingElement>(null);
  const count = order.items.reduce((all, each) => all + each.quantity, 0);

  useEffect(() => {
    void store.box(order.trade_id).then((found) => (sealed.value = found));
  }, [order.trade_id]);

  const stands = `${cards.value !== undefined} ${sealed.value !== undefined}`;
  const before = useRef(stands);
  useEffect(() => {
    // The button that was pressed is gone: go on from here.
    if (stands !== before.current && document.activeElement === document.body) title.current?.focus();
    before.current = stands;
  }, [stands]);

  const open = async () => {
    if (opening.value) return;
    opening.value = true;
    problem.value = undefined;
    try {
      cards.value = await api.cards(order.trade_id, token);
    } catch (error) {
      problem.value = problemOf(error);
    }
    opening.value = false;
  };
  const drop = async () => {
    await store.dropBox(order.trade_id);
    sealed.value = undefined;
    tell(words.dropped);
  };

  return (
    <section class="panel cards" aria-labelledby="cards-title">
      <header class="row apart">
        <h2 id="cards-title" ref={title} tabIndex={-1}>{words.title}</h2>
        <span class="hint">{words.count(count)}</span>
      </header>
      <ul class="codes">
        {cards.value
          ? cards.value.map((card, n) => <Code key={n} card={card} order={order} n={n + 1} />)
          : order.items.flatMap((item) =>
              Array.from({ length: Math.min(item.quantity, 3) }, (_, n) => (
                <li key={`${item.sku} ${n}`} class="code sealed">
                  <span class="code-of">{item.name}</span>
                  <span class="code-text" aria-hidden="true">
                    •••• •••• ••••
                  </span>
                  <span class="code-side">
                    <Icon name="lock" />
                    <span class="unseen">{words.sealed}</span>
                  </span>
                </li>
              )),
            )}
      </ul>
      <ProblemNote problem={problem.value} />
      {cards.value ? (
        <div class="row">
          <button type="button" class="button" onClick={() => void copy(lines(cards.value))}>
            {words.copyAll}
          </button>
          <button type="button" class="button quiet" onClick={() => download(order, cards.value ?? [])}>
            {words.download}
          </button>
          {box.canSeal() && !sealed.value && (
            <button type="button" class="button quiet" onClick={() => (keeping.value = true)}>
              {words.keep}
            </button>
          )}
          <button type="button" class="button quiet" onClick={() => (cards.value = undefined)}>
            {words.hide}
          </button>
        </div>
      ) : (
        <button
          type="button"
          class="button wide-button"
          aria-busy={opening.value}
          onClick={() => (asking.value = true)}
        >
          {opening.value ? words.opening : words.reveal}
        </button>
      )}
      {sealed.value && (
        <div class="note good">
          <p>{words.kept}</p>
          <div class="row">
            {!cards.value && (
              <button type="button" class="link" onClick={() => (unsealing.value = true)}>
                {words.openKept}
              </button>
            )}
            <button type="button" class="link" onClick={() => void drop()}>
              {words.dropKept}
            </button>
          </div>
        </div>
      )}
      <Sure
        title={words.sure}
        why={words.why}
        yes={words.yes}
        no={words.no}
        open={asking.value}
        onYes={() => void open()}
        onClose={() => (asking.value = false)}
      />
      <Dialog title={words.keepTitle} open={keeping.value} onClose={() => (keeping.value = false)}>
        <Keep cards={cards.value ?? []} tradeId={order.trade_id} sealed={sealed} done={() => (keeping.value = false)} />
      </Dialog>
      <Dialog title={words.openTitle} open={unsealing.value} onClose={() => (unsealing.value = false)}>
        <Unseal tradeId={order.trade_id} sealed={sealed} cards={cards} done={() => (unsealing.value = false)} />
      </Dialog>
    </section>
  );
}

function Code({ card, order, n }: { card: Card; order: Order; n: number }) {
  const words = t();
  return (
    <li class="code">
      <span class="code-of">
        {order.items.length > 1 ? order.items.find((each) => each.sku === card.sku)?.name : words.cards.one(n)}
      </span>
      <span class="code-text">{card.code}</span>
      <span class="code-side">
        <button
          type="button"
          class="link"
          aria-label={`${words.copy} ${words.cards.one(n)}`}
          onClick={() => void copy(card.code)}
        >
          {words.copy}
        </button>
      </span>
    </li>
  );
}

interface Passphrase {
  tradeId: string;
  sealed: Signal<box.Sealed | undefined>;
  done: () => void;
}

const SHORTEST = 8;

function Keep({ cards, tradeId, sealed, done }: Passphrase & { cards: Card[] }) {
  const words = t().cards;
  const passphrase = useSignal("");
  const again = useSignal("");
  const checked = useSignal(false);
  const sealing = useSignal(false);
  const short = [...passphrase.value].length < SHORTEST;
  const differs = passphrase.value !== again.value;

  const keep = async (event: SubmitEvent & { currentTarget: HTMLFormElement }) => {
    event.preventDefault();
    checked.value = true;
    if (sealing.value) return;
    if (short || differs) return focusWrong(event.currentTarget);
    sealing.value = true;
    const made = await box.seal(cards, passphrase.value, tradeId);
    await store.keepBox(tradeId, made);
    sealed.value = made;
    tell(words.kept);
    done();
  };

  return (
    <form onSubmit={keep} noValidate>
      <p>{words.keepWhy}</p>
      <Field
        label={words.passphrase}
        value={passphrase}
        hint={words.passphraseHint}
        wrong={checked.value && short ? words.passphraseShort : undefined}
        type="password"
        autoComplete="new-password"
      />
      <Field
        label={words.passphraseAgain}
        value={again}
        wrong={checked.value && !short && differs ? words.passphraseDiffers : undefined}
        type="password"
        autoComplete="new-password"
      />
      <div class="row end">
        <button type="submit" class="button" aria-busy={sealing.value}>
          {sealing.value ? words.sealing : words.keepYes}
        </button>
      </div>
    </form>
  );
}

function Unseal({ tradeId, sealed, cards, done }: Passphrase & { cards: Signal<Card[] | undefined> }) {
  const words = t().cards;
  const passphrase = useSignal("");
  const wrong = useSignal(false);
  const opening = useSignal(false);

  const unseal = async (event: SubmitEvent & { currentTarget: HTMLFormElement }) => {
    event.preventDefault();
    const form = event.currentTarget;
    if (!sealed.value || opening.value) return;
    opening.value = true;
    const opened = await box.open(sealed.value, passphrase.value, tradeId);
    opening.value = false;
    wrong.value = !opened;
    if (!opened) return focusWrong(form);
    cards.value = opened;
    done();
  };

  return (
    <form onSubmit={unseal} noValidate>
      <Field
        label={words.passphrase}
        value={passphrase}
        wrong={wrong.value ? words.wrong : undefined}
        type="password"
        autoComplete="current-password"
      />
      <div class="row end">
        <button type="submit" class="button" aria-busy={opening.value}>
          {opening.value ? words.opening : words.openYes}
        </button>
      </div>
    </form>
  );
}

const lines = (cards: Card[] | undefined) => (cards ?? []).map((each) => each.code).join("\n");

export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    tell(t().copied);
  } catch {
    tell(t().copyFailed);
  }
}

function download(order: Order, cards: Card[]): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${lines(cards)}\n`], { type: "text/plain;charset=utf-8" }));
  link.download = `${order.trade_id}.txt`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
