import type { Product } from "../shapes";
import { t } from "../words";

export function Stock({ stock }: { stock: Product["stock"] }) {
  const words = t().stock;
  return <span class={`stock ${stock.level}`}>{stock.level === "low" ? words.low(stock.quantity) : words[stock.level]}</span>;
}
