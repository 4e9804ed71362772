"""Every page in each of its states, in both languages and themes, on a phone and at a computer: axe finds nothing
against WCAG 2.2 AA, and nothing is wider than the screen. `make screens` keeps what it sees as `docs/screens`."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.axe import violations
from tests.browser.terminal import Terminal
from tests.house import House, ok

_SCREENS = os.environ.get("SCREENS")
_DEVICES = {"phone": {"device_scale_factor": 2}, "pc": {}}
_LOOKS = {"phone": [("zh", "light"), ("en", "dark")], "pc": [("zh", "dark"), ("en", "light")]}
_ALL_LOOKS = [each for looks in _LOOKS.values() for each in looks]


class Eye:
    """Looks at one page after another as each reader sees it."""

    def __init__(self, terminal: Terminal, kind: str) -> None:
        self.page, self.kind = terminal.page, kind

    def look(self, *, keep: str = "") -> None:
        """`keep` names the pictures, if pictures are wanted."""
        for language, theme in _ALL_LOOKS if keep and _SCREENS else _LOOKS[self.kind]:
            self.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            self._speak(language)
            where = f"{self.page.url} in {language}, {theme}, on a {self.kind}"
            wider = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wider == 0, f"{where}: {wider} px wider than the screen"
            assert self.page.locator("h1").count() == 1, where
            found = violations(self.page)
            assert not found, "\n".join([where, *found])
            if keep and _SCREENS:
                self._keep(Path(_SCREENS) / f"{keep}.{self.kind}.{language}.{theme}.webp")
        self._speak("zh")

    def _speak(self, language: str) -> None:
        if not self.page.evaluate("document.documentElement.lang").startswith(language):
            self.page.evaluate("document.querySelector('.looks [lang]').click()")  # a dialog may stand before it
            expect(self.page.locator(f"html[lang^={language}]")).to_be_attached()

    def _keep(self, path: Path) -> None:
        """As WebP, which is a third of a PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        devtools = self.page.context.new_cdp_session(self.page)
        shot = devtools.send("Page.captureScreenshot", {"format": "webp", "quality": 82})
        path.write_bytes(base64.b64decode(shot["data"]))
        devtools.detach()


@pytest.fixture(params=_DEVICES)
def eye(request: pytest.FixtureRequest, terminal: Callable[..., Terminal]) -> tuple[Terminal, Eye]:
    holder = terminal(request.param, **_DEVICES[request.param])
    return holder, Eye(holder, request.param)


_SHELF = [
    ("steam-50", "Steam 充值卡 50 元 Gift Card", "游戏 Games", 4990, 40),
    ("eshop-jp-1000", "Nintendo eShop 点卡 日服 1000 円", "游戏 Games", 5280, 26),
    ("psn-hk-200", "PlayStation 充值卡 港服 HK$200", "游戏 Games", 18600, 2),
    ("office-key", "Office 家庭版密钥 Home licence key", "软件 Software", 29900, 12),
    ("jetbrains-1y", "JetBrains 全家桶 1 年 All Products Pack", "软件 Software", 88800, 15),
    ("spotify-3m", "Spotify Premium 3 个月 months", "会员 Memberships", 4500, 30),
    ("video-1y", "视频会员年卡 Video membership, a year", "会员 Memberships", 14800, 0),
]


@pytest.fixture(scope="module")
def shelf(house: House) -> str:
    """A catalogue as a shop has it; answers the SKU of what is bought of it."""
    for sku, name, category, price, cards in _SHELF:
        body = {
            "name": name,
            "category": category,
            "description": "付款即发卡密，可立即兑换。\nThe code is yours the moment you pay.",
            "price": {"minor": price, "currency": "CNY"},
            "status": "on_sale",
        }
        ok(house.api.put(f"/admin/products/{sku}", headers=house.operator, json=body))
        codes = "\n".join(f"{sku.upper()}-{n:04d}-K7QX-9MPD" for n in range(cards))
        if codes:
            ok(house.api.post(f"/admin/products/{sku}/cards", headers=house.operator, content=codes))
    return _SHELF[0][0]


@contextmanager
def told(page: Page, order: dict[str, Any]) -> Iterator[None]:
    """The page reads this of its order, and is pushed nothing: states that few orders are ever in."""
    page.route(f"**/api/orders/{order['trade_id']}", lambda route: route.fulfill(json=order))
    page.route_web_socket("**", lambda _: None)
    yield
    page.unroute_all()


def test_the_catalogue_and_what_is_in_it(shelf: str, eye: tuple[Terminal, Eye]) -> None:
    terminal, eyes = eye
    page = terminal.page
    page.goto("/")
    expect(page.locator("a.ticket")).not_to_have_count(0)
    eyes.look(keep="shop")
    page.get_by_role("searchbox").fill("没有的东西")
    eyes.look()
    page.goto("/products/video-1y")
    expect(terminal.button("已售罄")).to_be_disabled()
    eyes.look()
    page.goto(f"/products/{shelf}")
    eyes.look(keep="product")
    terminal.button("去结算").click()
    expect(page.get_by_label("支付宝")).to_be_checked()
    eyes.look(keep="checkout")
    page.get_by_text("找回订单用").click()
    page.get_by_label("邮箱").fill("name@")
    terminal.button("提交订单 ¥49.90").click()
    expect(page.get_by_text("邮箱格式不对")).to_be_visible()
    eyes.look()


def test_an_order_from_its_payment_to_its_end(house: House, shelf: str, eye: tuple[Terminal, Eye]) -> None:
    terminal, eyes = eye
    page = terminal.page
    placed = house.placed(shelf)
    terminal.take_over(house, placed)
    terminal.button("显示支付方式").click()
    expect(terminal.link("前往支付")).to_be_focused()
    eyes.look(keep="to-pay")
    for button in ("换一种支付方式", "取消订单", "换设备继续"):
        terminal.button(button).click()
        if button == "换设备继续":
            expect(page.locator("svg.qr")).to_be_visible()
        eyes.look(keep="hand-off" if button == "换设备继续" else "")
        terminal.button("关闭").click()
    house.pay(placed)
    expect(terminal.button("打开卡密")).to_be_visible()
    eyes.look()
    terminal.button("打开卡密").click()
    eyes.look()
    terminal.button("打开").click()
    terminal.button("保存到本机").click()
    terminal.button("加密保存").click()
    expect(page.get_by_text("口令至少 8 个字")).to_be_visible()
    eyes.look()
    page.get_by_label("口令", exact=True).fill("correct horse")
    page.get_by_label("再输一次").fill("correct horse")
    terminal.button("加密保存").click()
    expect(page.locator(".note.good")).to_be_visible()
    expect(page.locator(".toast")).to_have_count(0)
    eyes.look(keep="cards")
    terminal.button("收起").click()
    terminal.button("用口令打开").click()
    page.get_by_label("口令").fill("another")
    terminal.button("打开").click()
    expect(page.get_by_text("口令不对")).to_be_visible()
    eyes.look()
    terminal.button("关闭").click()
    terminal.button("确认收货").click()
    terminal.button("已收到").click()
    expect(terminal.link("再买一次")).to_be_visible()
    eyes.look()


def test_the_orders_of_a_device(house: House, shelf: str, eye: tuple[Terminal, Eye]) -> None:
    terminal, eyes = eye
    page = terminal.page
    page.goto("/orders")
    expect(page.get_by_text("这台设备上还没有订单")).to_be_visible()
    eyes.look()
    delivered, cancelled, unpaid = house.placed(shelf), house.placed("spotify-3m", 2), house.placed("office-key")
    house.pay(delivered)
    house.until(delivered, "delivered")
    ok(house.act(cancelled, "cancel"))
    for placed in (delivered, cancelled):
        terminal.take_over(house, placed)
    expect(page.locator(".order-head .stamp")).to_have_text("交易关闭")
    eyes.look()
    terminal.take_over(house, unpaid)
    terminal.link("我的订单").click()
    expect(page.locator(".order-row")).to_have_count(3)
    eyes.look(keep="orders")
    terminal.page.locator(".order-row button").first.click()
    eyes.look()


_PAYMENT = {"payment_id": "p01", "channel": "epay", "amount": {"minor": 4990, "currency": "CNY"}}
_REFUND = {"refund_id": "r1", "state": "pending", "amount": {"minor": 4990, "currency": "CNY"}, "by": "shop"}
_REFUNDED = {**_REFUND, "state": "done"}
_RARE: list[tuple[str, dict[str, Any]]] = [
    ("支付成功", {"status": "paid"}),
    ("支付失败", {"status": "payment_failed"}),
    ("待补货", {"status": "awaiting_stock"}),
    ("风控挂起", {"status": "on_hold"}),
    ("退款中", {"status": "refunding", "payments": [{**_PAYMENT, "state": "refunding", "refunds": [_REFUND]}]}),
    ("已退款", {"status": "refunded", "payments": [{**_PAYMENT, "state": "refunded", "refunds": [_REFUNDED]}]}),
    ("付款有争议", {"status": "delivered", "payments": [{**_PAYMENT, "state": "charged_back"}]}),
    ("待支付", {"due": {"minor": 90, "currency": "CNY"}, "payments": [{**_PAYMENT, "state": "short"}]}),
]


def test_an_order_in_every_other_state(house: House, shelf: str, eye: tuple[Terminal, Eye]) -> None:
    terminal, eyes = eye
    placed = house.placed(shelf)
    terminal.take_over(house, placed)
    order = house.view(placed)
    for version, (stamp, amended) in enumerate(_RARE, order["version"] + 1):
        with told(terminal.page, {**order, "version": version, **amended}):
            terminal.page.reload()
            expect(terminal.page.locator(".order-head .stamp")).to_have_text(stamp)
            eyes.look()


def test_pages_that_cannot_help_say_what_can(house: House, shelf: str, eye: tuple[Terminal, Eye]) -> None:
    terminal, eyes = eye
    page = terminal.page
    terminal.foresee("40[134]", "Failed to load resource", "assets/find-")
    page.route("**/assets/find-*.js", lambda route: route.abort())
    page.goto("/find")
    expect(page.get_by_text("此页面的新版本未能载入")).to_be_visible()
    eyes.look()
    page.unroute_all()
    terminal.link("选购").click()
    expect(page.locator("a.ticket")).not_to_have_count(0)
    page.goto("/products/%")
    page.reload()
    expect(page.get_by_text("没有这个页面")).to_be_visible()
    for path, said in (
        ("/nowhere", "没有这个页面"),
        ("/products/%E0%A4%A", "没有这个页面"),
        ("/products/none", "没有这件商品"),
        ("/orders/m5qk7c2xj3zv6n4wtyb2hdgl5e", "这台设备上没有这笔订单"),
        ("/handoff", "这里需要一个码"),
        ("/handoff#%E0%A4%A", "这个码用不了了"),
        ("/find", "凭订单号"),
    ):
        page.goto("about:blank")
        page.goto(path)
        expect(page.get_by_text(said).first).to_be_visible()
        eyes.look(keep="find" if path == "/find" else "")
    terminal.button("找回订单").click()
    page.get_by_label("订单号").fill("m5qk7c2xj3zv6n4wtyb2hdgl5e")
    eyes.look()
    page.get_by_label("查询密码").fill("wrong")
    terminal.button("找回订单").click()
    expect(page.get_by_text("订单号或查询密码不对")).to_be_visible()
    eyes.look()


def test_a_page_that_waits_and_one_that_waited_in_vain(shelf: str, eye: tuple[Terminal, Eye]) -> None:
    terminal, eyes = eye
    page = terminal.page
    terminal.foresee("api/products", "Failed to load resource")
    held: list[Route] = []
    for path in ("/", f"/products/{shelf}", f"/checkout/{shelf}"):
        page.route(re.compile("/api/products"), lambda route: held.append(route))  # noqa: PLW0108 it wants a function
        page.goto(path)
        expect(page.locator(".skeleton").first).to_be_visible()
        eyes.look()
        page.route(re.compile("/api/products"), lambda route: route.abort())
        for each in held:
            each.abort()
        held.clear()
        expect(terminal.button("重试").first).to_be_visible()
        eyes.look()
        page.unroute_all()
