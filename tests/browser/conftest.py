"""A shop with its pages, and the terminals that buyers hold: each browser context is one, with a memory of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

from engine import deploy, pages, shop
from engine.processes import Home
from engine.stacks import Stack
from tests.browser.terminal import Terminal
from tests.house import House, ok

expect.set_options(timeout=30_000)


@pytest.fixture(scope="session")
def house(home: Home) -> House:
    """A shop of its own: other tests put other pages into theirs."""
    outputs = deploy.deploy(home, "storefront", {**shop.LOCAL_PARAMETERS, "RetrySeconds": "0"})
    house = House(home, "storefront", outputs, shop.merchant(home))
    offer = {"offered": True, "title": "支付宝 Alipay"}
    channel = house.channel(type="alipay")
    ok(house.api.put(f"/admin/channels/{channel}/offer", headers=house.operator, json=offer))
    pages.upload(Stack(house.stack, partial(deploy.aws, home)), pages.build())
    return house


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """For one file of tests: while it runs, its event loop is this thread's, and nobody else may have one."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def chromium_path() -> str | None:
    """The system's own browser, where it is not Playwright's to find."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def chromium(playwright: Playwright, chromium_path: str | None) -> Iterator[Browser]:
    """No other browser looks for `*.localhost` on this machine."""
    found = {"executable_path": chromium_path} if chromium_path else {"channel": "chrome"}
    with playwright.chromium.launch(**found) as browser:  # type: ignore[arg-type]
        yield browser


@pytest.fixture
def terminal(house: House, playwright: Playwright, chromium: Browser) -> Iterator[Callable[..., Terminal]]:
    """Hands out terminals, `"phone"` or `"pc"`; whatever went wrong in one without being foreseen fails the test."""
    handed: list[Terminal] = []

    def hand(kind: str, **options: object) -> Terminal:
        device = playwright.devices["Pixel 7"] if kind == "phone" else {"viewport": {"width": 1280, "height": 800}}
        usual = {"base_url": house.outputs["PagesUrl"], "locale": "zh-CN", "reduced_motion": "reduce"}
        context = chromium.new_context(**{**usual, **device, **options})
        handed.append(Terminal(context))
        return handed[-1]

    yield hand
    troubles = [trouble for each in handed for trouble in each.troubles]
    for each in handed:
        each.context.close()
    assert not troubles, "\n".join(troubles)
