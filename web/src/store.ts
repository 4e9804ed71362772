/**
 * What this browser keeps, in IndexedDB: the catalogue last seen, the orders of this device with their tokens and
 * latest state, a few settings, and codes only as `box.ts` has sealed them.
 *
 * Where storage is blocked or full the same is kept in memory until the page is closed, and `remembers` says so.
 */

import { signal } from "@preact/signals";
import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import type { Sealed } from "./box";
import type { Order, Product, Session } from "./shapes";

export interface KeptOrder {
  trade_id: string;
  token: string;
  added_at: number; // milliseconds, this machine's clock
  order?: Order;
  seen_at?: number; // when the server last vouched for `order`
  payment?: Session; // how the last payment opened here is paid
}

interface KeptCatalogue {
  products: Product[];
  seen_at: number;
}

interface Schema extends DBSchema {
  orders: { key: string; value: KeptOrder };
  catalogue: { key: string; value: KeptCatalogue };
  settings: { key: string; value: string };
  boxes: { key: string; value: Sealed };
}

type Name = "orders" | "catalogue" | "settings" | "boxes";

/** False once this browser has refused to keep something. */
export const remembers = signal(true);

const memory: { [N in Name]: Map<string, Schema[N]["value"]> } = {
  orders: new Map(),
  catalogue: new Map(),
  settings: new Map(),
  boxes: new Map(),
};

let opened: Promise<IDBPDatabase<Schema> | undefined> | undefined;

function database(): Promise<IDBPDatabase<Schema> | undefined> {
  opened ??= (async () => {
    try {
      return await openDB<Schema>("cardshop", 1, {
        upgrade(made) {
          for (const name of ["orders", "catalogue", "settings", "boxes"] as const) made.createObjectStore(name);
        },
        terminated: () => (opened = undefined),
      });
    } catch {
      remembers.value = false;
      return undefined;
    }
  })();
  return opened;
}

/** In the database if there is one that works, else in memory. */
async function attempt<T>(inDatabase: (db: IDBPDatabase<Schema>) => Promise<T>, inMemory: () => T): Promise<T> {
  const db = await database();
  if (db) {
    try {
      return await inDatabase(db);
    } catch {
      remembers.value = false;
    }
  }
  return inMemory();
}

const get = <N extends Name>(name: N, key: string): Promise<Schema[N]["value"] | undefined> =>
  attempt(
    async (db) => (await db.get(name, key)) ?? memory[name].get(key),
    () => memory[name].get(key),
  );

const put = <N extends Name>(name: N, key: string, value: Schema[N]["value"]): Promise<void> =>
  attempt(
    async (db) => void (await db.put(name, value, key)),
    () => void memory[name].set(key, value),
  );

const drop = (name: Name, key: string): Promise<void> => {
  memory[name].delete(key);
  return attempt(
    (db) => db.delete(name, key),
    () => undefined,
  );
};

export const setting = (key: string) => get("settings", key);
export const set = (key: string, value: string) => put("settings", key, value);

export const catalogue = () => get("catalogue", "products");
export const keepCatalogue = (products: Product[]) =>
  put("catalogue", "products", { products, seen_at: Date.now() });

export const order = (tradeId: string) => get("orders", tradeId);
export const keepOrder = (kept: KeptOrder) => put("orders", kept.trade_id, kept);

/** What is kept of the order, changed; undefined if it is not kept any more: whoever forgot it meanwhile meant it. */
export function changeOrder(
  tradeId: string,
  change: (kept: KeptOrder) => KeptOrder,
): Promise<KeptOrder | undefined> {
  let kept = memory.orders.get(tradeId);
  return attempt(
    async (db) => {
      const writing = db.transaction("orders", "readwrite");
      const write = async () => {
        kept = (await writing.store.get(tradeId)) ?? kept;
        const now = kept && change(kept);
        if (now) await writing.store.put(now, tradeId);
        return now;
      };
      return (await Promise.all([write(), writing.done]))[0];
    },
    () => {
      const now = kept && change(kept);
      if (now) memory.orders.set(tradeId, now);
      return now;
    },
  );
}

/** Remember an order whose token this device was just given. */
export async function adopt(tradeId: string, token: string, payment?: Session): Promise<void> {
  const before = await order(tradeId);
  await keepOrder({
    added_at: Date.now(),
    ...before,
    trade_id: tradeId,
    token,
    ...(payment ? { payment } : {}),
  });
}

export const forgetOrder = (tradeId: string) => Promise.all([drop("orders", tradeId), drop("boxes", tradeId)]);

export const orders = (): Promise<KeptOrder[]> =>
  attempt(
    async (db) => {
      const kept = await db.getAll("orders");
      const elsewhere = [...memory.orders.values()].filter((each) => !kept.some((one) => one.trade_id === each.trade_id));
      return [...kept, ...elsewhere];
    },
    () => [...memory.orders.values()],
  ).then((kept) => kept.sort((a, b) => b.added_at - a.added_at));

export const box = (tradeId: string) => get("boxes", tradeId);
export const keepBox = (tradeId: string, sealed: Sealed) => put("boxes", tradeId, sealed);
export const dropBox = (tradeId: string) => drop("boxes", tradeId);
