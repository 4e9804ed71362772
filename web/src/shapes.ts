/** What the API answers, as in `layers/cardshop/cardshop/api`. Money is in minor units; times are RFC 3339, UTC. */

export interface Money {
  minor: number;
  currency: string;
}

export type Level = "in_stock" | "low" | "out_of_stock";

export interface Product {
  sku: string;
  name: string;
  price: Money;
  stock: { level: Level; quantity: number };
  category?: string;
  description?: string;
}

export type Terminal = "pc" | "mobile";

export interface Channel {
  channel: string;
  provider: string;
  title?: string;
  terminals: string[];
  currency?: string;
  currencies?: string[];
}

export type Status =
  | "pending_payment"
  | "paid"
  | "payment_failed"
  | "awaiting_stock"
  | "delivered"
  | "completed"
  | "closed"
  | "on_hold"
  | "refunding"
  | "refunded";

/** How one payment is paid: one of the four ways, or `unavailable` if the provider did not answer. */
export interface Session {
  payment_id: string;
  redirect_url?: string;
  qr_code?: string;
  form?: string;
  app?: Record<string, string>;
  unavailable?: true;
}

export interface Refund {
  refund_id: string;
  state: "requested" | "pending" | "done" | "refused" | "by_hand";
  amount: Money;
  by: string;
}

export interface Payment {
  payment_id: string;
  channel: string;
  state:
    | "open"
    | "accepted"
    | "short"
    | "surplus"
    | "duplicate"
    | "late"
    | "failed"
    | "refunding"
    | "refunded"
    | "charged_back";
  amount: Money;
  paid?: Money;
  refunds?: Refund[];
}

export interface Change {
  version: number;
  what: string;
  status: Status;
  when: string;
  by: string;
  terminal?: string | null;
  device?: string;
  address?: string;
}

export interface OrderSummary {
  trade_id: string;
  status: Status;
  version: number;
  amount: Money;
  due?: Money;
  items: { sku: string; name: string; quantity: number; price: Money }[];
  terminal: string;
  created_at: string;
  expires_at: string;
  payments: Payment[];
}

export interface Order extends OrderSummary {
  timeline: Change[];
}

export interface OrderRequest {
  items: { sku: string; quantity: number }[];
  channel: string;
  terminal: Terminal;
  device_id: string;
  contact?: { email: string };
  query_password?: string;
}

export interface Placed {
  trade_id: string;
  status: Status;
  amount: Money;
  expires_at: string;
  payment: Session;
  token: string;
}

export interface Paying {
  trade_id: string;
  status: Status;
  amount: Money;
  expires_at: string;
  payment: Session;
}

export interface Card {
  sku: string;
  code: string;
}

/** One change of one order, as the push sends it: perhaps twice, perhaps out of order. */
export interface Pushed {
  trade_id: string;
  version: number;
  status: Status;
  change: Change;
  order: OrderSummary;
}
