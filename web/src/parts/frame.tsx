/** What stands around every page: where one can go, how it looks, and what is amiss with this browser. */

import type { ComponentChildren } from "preact";
import { useLocation } from "preact-iso";
import { useEffect } from "preact/hooks";
import { remembers } from "../store";
import { type Theme, choose, theme } from "../theme";
import { update } from "../updates";
import { language, speak, t } from "../words";
import { Announcer } from "./announce";
import { Icon } from "./icons";

export function Frame({ children }: { children: ComponentChildren }) {
  const words = t();
  useEffect(() => {
    document.documentElement.lang = words.code;
  }, [words]);
  return (
    <>
      <a class="skip" href="#main">
        {words.skip}
      </a>
      <header class="top">
        <div class="wide">
          <a class="brand" href="/">
            <img src="/icons/mark.svg" alt="" width="30" height="30" />
            {words.shop}
          </a>
          <Nav />
          <Looks />
        </div>
      </header>
      {update.value && (
        <div class="bar">
          <p class="wide">
            {words.update.ready}
            <button type="button" class="link" onClick={update.value}>
              {words.update.reload}
            </button>
          </p>
        </div>
      )}
      {!remembers.value && (
        <div class="bar warn" role="status">
          <p class="wide">{words.storage}</p>
        </div>
      )}
      <main id="main" tabIndex={-1}>
        <div class="wide">{children}</div>
      </main>
      <footer>
        <p class="wide">
          <Icon name="lock" />
          {words.footer}
        </p>
      </footer>
      <Announcer />
    </>
  );
}

function Nav() {
  const { path } = useLocation();
  const words = t().nav;
  const places = [
    ["/", "shop", words.shop, path === "/" || path.startsWith("/products") || path.startsWith("/checkout")],
    ["/orders", "ticket", words.orders, path.startsWith("/orders")],
    ["/find", "search", words.find, path === "/find"],
  ] as const;
  return (
    <nav aria-label={words.main}>
      {places.map(([to, icon, name, here]) => (
        <a key={to} href={to} aria-current={here ? (path === to ? "page" : "true") : undefined}>
          <Icon name={icon} />
          {name}
        </a>
      ))}
    </nav>
  );
}

const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };

function Looks() {
  const words = t();
  const other = language.value === "zh" ? "en" : "zh";
  const now = words.theme[theme.value];
  return (
    <div class="looks">
      <button
        type="button"
        class="plain icon-only"
        aria-label={`${words.theme.label}: ${now}`}
        title={`${words.theme.label}: ${now}`}
        onClick={() => choose(NEXT[theme.value])}
      >
        <Icon name="theme" />
      </button>
      <button type="button" class="plain" lang={other} onClick={() => speak(other)}>
        {words.language.other}
      </button>
    </div>
  );
}
