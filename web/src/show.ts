/** Amounts, moments and durations as this reader writes them. */

import type { Money } from "./shapes";
import { language } from "./words";

const locale = () => (language.value === "zh" ? "zh-CN" : "en");

/** Digits after the point where they are not two, by ISO 4217 as in `domain/money.py`: browsers follow usage instead. */
const EXPONENTS: Record<string, number> = {
  ...Object.fromEntries("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(" ").map((each) => [each, 0])),
  ...Object.fromEntries("BHD IQD JOD KWD LYD OMR TND".split(" ").map((each) => [each, 3])),
};

export const exponent = (currency: string): number => EXPONENTS[currency] ?? 2;

/** `990 CNY` → `¥9.90`, `100 JPY` → `¥100`. */
export function money({ minor, currency }: Money): string {
  const digits = exponent(currency);
  const amount = minor / 10 ** digits;
  try {
    return new Intl.NumberFormat(locale(), {
      style: "currency",
      currency,
      currencyDisplay: "narrowSymbol",
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    }).format(amount);
  } catch {
    return `${amount.toFixed(digits)} ${currency}`; // no code of three letters
  }
}

export const times = ({ minor, currency }: Money, quantity: number): Money => ({ minor: minor * quantity, currency });

export const moment = (when: string | number): string =>
  new Date(when).toLocaleString(locale(), { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });

export const toTheSecond = (when: string): string =>
  new Date(when).toLocaleString(locale(), {
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
  });

/** A browser's first amount and first moment take it far longer than all after: this writes them for nobody. */
export function practise(): void {
  money({ minor: 0, currency: "CNY" });
  moment(0);
}

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
];

/** How long ago, in words; undefined within the last minute. */
export function age(at: number, now = Date.now()): string | undefined {
  const step = STEPS.find(([, size]) => now - at >= size);
  return step && new Intl.RelativeTimeFormat(locale(), { numeric: "auto" }).format(-Math.floor((now - at) / step[1]), step[0]);
}

/** `65000` ms → `1:05`; hours where there are any. */
export function clock(left: number): string {
  const seconds = Math.max(0, Math.ceil(left / 1000));
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (part: number) => String(part).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
