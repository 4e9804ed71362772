import { useEffect, useState } from "preact/hooks";
import { serverNow } from "../api";
import { t } from "../words";

/** The page's title, as long as it is shown. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · ${t().shop}`;
  }, [title]);
}

/** The server's time, rendered anew each second while `running`. */
export function useServerNow(running = true): number {
  const [now, tick] = useState(serverNow);
  useEffect(() => {
    if (!running) return;
    tick(serverNow());
    const timer = setInterval(() => tick(serverNow()), 1000);
    return () => clearInterval(timer);
  }, [running]);
  return now;
}
