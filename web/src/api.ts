/** The shop's REST contract: one function a request. A refusal is a `Problem` with the API's stable `code`. */

import { signal } from "@preact/signals";
import type {
  Card,
  Channel,
  Order,
  OrderRequest,
  Paying,
  Placed,
  Product,
  Status,
} from "./shapes";
import { deviceId, terminal } from "./terminal";

/** `offline`: no answer came at all. `broken`: an answer that is not the API's. The rest are the API's own codes. */
export class Problem extends Error {
  constructor(
    readonly code: string,
    readonly status = 0,
    readonly detail = "",
    readonly retryAfter = 0, // seconds
  ) {
    super(code);
  }

  /**
   * Whether the same request may be sent again as it is: nothing is known of what became of it, or of its first try.
   * Only the API itself, when it refuses, has looked for an order of the first one.
   */
  get open(): boolean {
    return this.status === 0 || this.status >= 500 || this.code === "broken" || this.code === "throttled";
  }
}

/** What was thrown, as a page tells it. */
export const problemOf = (error: unknown): Problem => (error instanceof Problem ? error : new Problem("broken"));

/** The server's clock minus this machine's, in milliseconds. */
export const clockOffset = signal(0);

export const serverNow = (): number => Date.now() + clockOffset.value;

interface Site {
  api: string;
  push?: string;
}

let site: Promise<Site> | undefined;

/** `/config.json`, written by the deploy. Without it (offline) the API is where the contract says, and no push. */
export function config(): Promise<Site> {
  site ??= fetch("/config.json")
    .then((answer): Promise<Site> => {
      if (!answer.ok) throw new Problem("broken", answer.status);
      return answer.json();
    })
    .catch(() => {
      site = undefined;
      return { api: "/api" };
    });
  return site;
}

interface Ask {
  method?: "GET" | "POST";
  token?: string;
  body?: unknown;
  headers?: Record<string, string>;
}

const PATIENCE = 20_000; // milliseconds

async function ask(path: string, { method = "GET", token, body, headers }: Ask = {}): Promise<Response> {
  const { api } = await config();
  let answer: Response;
  try {
    answer = await fetch(api + path, {
      method,
      headers: {
        ...(token ? { Authorization: `Bearer ${token}` } : {}),
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      credentials: "omit",
      signal: AbortSignal.timeout(PATIENCE),
    });
  } catch {
    throw new Problem("offline");
  }
  const date = Date.parse(answer.headers.get("Date") ?? "");
  // A date has no milliseconds. Ahead of the server rather than behind: no countdown shows more than there is.
  if (token && date) clockOffset.value = date + 1000 - Date.now();
  if (answer.ok || answer.status === 304) return answer;
  throw await problem(answer);
}

async function problem(answer: Response): Promise<Problem> {
  const told: { code?: unknown; detail?: unknown } = await answer.json().catch(() => ({}));
  return new Problem(
    typeof told.code === "string" ? told.code : "broken",
    answer.status,
    typeof told.detail === "string" ? told.detail : "",
    Number(answer.headers.get("Retry-After")) || 0,
  );
}

async function read<T>(answer: Promise<Response>): Promise<T> {
  const given = await answer;
  try {
    return (await given.json()) as T;
  } catch {
    throw new Problem("broken", given.ok ? 502 : given.status);
  }
}

const of = (tradeId: string) => `/orders/${encodeURIComponent(tradeId)}`;
const whence = async () => ({ terminal: terminal(), device_id: await deviceId() });

export const products = () =>
  read<{ products: Product[] }>(ask("/products")).then(({ products: given }) => given);

export const product = (sku: string) => read<Product>(ask(`/products/${encodeURIComponent(sku)}`));

export const channels = () =>
  read<{ channels: Channel[] }>(ask("/channels")).then(({ channels: given }) => given);

/** The same key and body find the same order, however often they are sent. */
export const placeOrder = (key: string, body: OrderRequest) =>
  read<Placed>(ask("/orders", { method: "POST", body, headers: { "Idempotency-Key": key } }));

/** The order, or undefined if `version` is still what there is. */
export async function order(tradeId: string, token: string, version?: number): Promise<Order | undefined> {
  const headers = version === undefined ? {} : { "If-None-Match": `"${version}"` };
  const answer = await ask(of(tradeId), { token, headers });
  return answer.status === 304 ? undefined : await read<Order>(Promise.resolve(answer));
}

const post = async <T>(tradeId: string, token: string, what: string, body: object = {}): Promise<T> =>
  read<T>(ask(`${of(tradeId)}/${what}`, { method: "POST", token, body: { ...(await whence()), ...body } }));

export const pay = (tradeId: string, token: string, channel: string) =>
  post<Paying>(tradeId, token, "payments", { channel });

export const cancel = (tradeId: string, token: string) =>
  post<{ status: Status }>(tradeId, token, "cancel");

export const confirm = (tradeId: string, token: string) =>
  post<{ status: Status }>(tradeId, token, "confirm");

/** Each call is recorded with time, address and device. */
export const cards = (tradeId: string, token: string) =>
  post<{ cards: Card[] }>(tradeId, token, "cards").then(({ cards: given }) => given);

/** Good for one push connection, within a minute. */
export const ticket = (tradeId: string, token: string) =>
  read<{ ticket: string }>(ask(`${of(tradeId)}/tickets`, { method: "POST", token, body: {} }));

/** Good for one other device, within two minutes. */
export const handOff = (tradeId: string, token: string) =>
  read<{ code: string; expires_at: string }>(ask(`${of(tradeId)}/handoffs`, { method: "POST", token, body: {} }));

interface Entry {
  trade_id: string;
  token: string;
}

export const takeOver = async (code: string) =>
  read<Entry>(ask("/handoffs", { method: "POST", body: { code, ...(await whence()) } }));

export const lookUp = async (tradeId: string, password: string) =>
  read<Entry>(
    ask("/orders/lookup", {
      method: "POST",
      body: { trade_id: tradeId, query_password: password, ...(await whence()) },
    }),
  );

