/** The orders of this device: what is kept of each, followed live, reconciled by version. */

import { type Signal, signal } from "@preact/signals";
import * as api from "./api";
import { Problem, problemOf } from "./api";
import * as merge from "./merge";
import { follow, type Mode } from "./push";
import type { Order, Session } from "./shapes";
import * as store from "./store";

export interface Trade {
  /** undefined: not looked up yet; null: this device has no token for it. */
  kept: Signal<store.KeptOrder | null | undefined>;
  mode: Signal<Mode>;
  /** Why the server does not answer for this order any more. */
  refused: Signal<Problem | undefined>;
  /** Why the last look told nothing; undefined once one has. */
  failed: Signal<Problem | undefined>;
  /** Ask at once. */
  refresh(): Promise<void>;
  paying(session: Session): Promise<void>;
  close(): void;
}

/** Follow one order until `close`. */
export function watch(tradeId: string): Trade {
  const kept = signal<store.KeptOrder | null | undefined>(undefined);
  const mode = signal<Mode>({ kind: "connecting" });
  const refused = signal<Problem | undefined>(undefined);
  const failed = signal<Problem | undefined>(undefined);
  let stop: () => void = () => undefined;
  let closed = false;

  const keep = async (change: Partial<store.KeptOrder>): Promise<void> => {
    if (!kept.value) return;
    kept.value = { ...kept.value, ...change };
    await store.changeOrder(tradeId, (there) => ({ ...there, ...change, ...latest(there, change.order) }));
  };

  const refresh = async (): Promise<boolean> => {
    const known = kept.value;
    if (!known) return false;
    const told = await api.order(tradeId, known.token, tag(known.order)).catch((problem: unknown) => {
      failed.value = problemOf(problem);
      throw problem;
    });
    failed.value = undefined;
    const before = kept.value?.order;
    const now = told ? merge.later(before, told) : before;
    await keep({ seen_at: Date.now(), ...(now ? { order: now } : {}) });
    return now?.version !== before?.version;
  };

  void store.order(tradeId).then((found) => {
    if (closed) return;
    kept.value = found ?? null;
    if (!found) return;
    refresh().catch(() => undefined); // at once, without waiting for the push; whoever follows asks again
    stop = follow({
      address: async () => {
        const { push } = await api.config();
        if (!push) return undefined;
        const { ticket } = await api.ticket(tradeId, found.token);
        return `${push}?ticket=${encodeURIComponent(ticket)}`;
      },
      refresh,
      receive: (message) => {
        const known = kept.value?.order;
        const news = known && merge.pushed(known, message);
        if (!news) return;
        void keep({ order: news.order, seen_at: Date.now() });
        if (news.gap) void whole(tradeId, found.token).then((order) => order && keep({ order }), () => undefined);
      },
      mode: (now) => (mode.value = now),
      refused: (problem) => (refused.value = problem),
    });
  });

  const whole = async (id: string, token: string): Promise<Order | undefined> => {
    const told = await api.order(id, token);
    return told && merge.later(kept.value?.order, told);
  };

  return {
    kept,
    mode,
    refused,
    failed,
    refresh: async () => void (await refresh()),
    paying: (session) => keep({ payment: session }),
    close: () => {
      closed = true;
      stop();
    },
  };
}

/** What is known of the order with what was told of it, if something was; another tab may know more than this one. */
const latest = ({ order }: store.KeptOrder, told: Order | undefined): Partial<store.KeptOrder> =>
  told ? { order: merge.later(order, told) } : {};

/** The version whose answer would be no news. */
const tag = (known: Order | undefined): number | undefined =>
  known && merge.whole(known) ? known.version : undefined;

/** Every order of this device, asked once: what the server says replaces what is older. One that fails stays as it is. */
export async function reconcile(each: (kept: store.KeptOrder) => void): Promise<void> {
  for (const kept of await store.orders()) {
    try {
      const told = await api.order(kept.trade_id, kept.token, tag(kept.order));
      const seen_at = Date.now();
      const now = await store.changeOrder(kept.trade_id, (there) => ({ ...there, seen_at, ...latest(there, told) }));
      if (now) each(now);
    } catch (problem) {
      if (problem instanceof Problem && problem.code === "offline") return;
    }
  }
}
