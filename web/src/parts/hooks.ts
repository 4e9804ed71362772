import { useEffect, useReducer } from "preact/hooks";
import { serverNow } from "../api";
import { t } from "../words";

/** The page's title, as long as it is shown. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · ${t().shop}`;
  }, [title]);
}

/** The server's time, rendered anew each second. */
export function useServerNow(): number {
  const [, tick] = useReducer((ticks: number) => ticks + 1, 0);
  useEffect(() => {
    const timer = setInterval(tick, 1000);
    return () => clearInterval(timer);
  }, []);
  return serverNow();
}
