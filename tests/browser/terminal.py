"""One buyer's browser, and all that it complains of."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Request, Response, expect

from tests.house import House, ok

#: Each state that the page has shown, however short: a change that is pushed may be overtaken by the next at once.
_REMEMBER_STATES = """
  window.shown = [];
  new MutationObserver(() => {
    const stamp = document.querySelector(".order-head .stamp")?.textContent;
    if (stamp && stamp !== window.shown.at(-1)) window.shown.push(stamp);
  }).observe(document, { subtree: true, childList: true, characterData: true });
"""


class Terminal:
    """A context with one page. `troubles` has every error and warning of the console, every script that failed, every
    request without an answer or with a refusal; a broken Content-Security-Policy is an error of the console."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.troubles: list[str] = []
        self.asked: list[str] = []
        self._foreseen: list[re.Pattern[str]] = []
        context.add_init_script(_REMEMBER_STATES)
        context.on("page", self._watch)
        self.page = context.new_page()

    def foresee(self, *patterns: str) -> None:
        """Troubles from now on that are the test's own doing."""
        self._foreseen += map(re.compile, patterns)

    def take_over(self, house: House, placed: dict[str, Any]) -> None:
        """The order, from whoever placed it, by a link that they hand over."""
        code = ok(house.act(placed, "handoffs"))["code"]
        self.page.goto(f"/handoff#{code}")
        expect(self.page.locator(".order-head .stamp")).to_be_visible()

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def link(self, name: str) -> Locator:
        return self.page.get_by_role("link", name=name, exact=True)

    @property
    def shown(self) -> list[str]:
        """The states that this page, since it was loaded, has shown of its order."""
        return list(self.page.evaluate("window.shown"))

    def _watch(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self._trouble(f"script: {error}"))
        page.on("request", lambda request: self.asked.append(f"{request.method} {request.url}"))
        page.on("requestfailed", self._failed)
        page.on("response", self._answered)

    def _trouble(self, what: str) -> None:
        if not any(pattern.search(what) for pattern in self._foreseen):
            self.troubles.append(what)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self._trouble(f"console: {message.type}: {message.text}")

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # given up by the page: it was left, or a 304 has no body to read
            self._trouble(f"no answer: {request.method} {request.url}: {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self._trouble(f"refused: {response.status} {response.request.method} {response.url}")
