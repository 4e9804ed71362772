"""What a browser may lack: storage, a WebSocket, a pointer, motion, width. The card is bought all the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Playwright, WebSocketRoute, expect

from tests.browser.axe import violations
from tests.browser.terminal import Terminal
from tests.house import House

_NO_STORAGE = """
  const refuse = { configurable: true, get() { throw new DOMException("denied", "SecurityError"); } };
  for (const name of ["localStorage", "sessionStorage", "indexedDB", "caches"])
    Object.defineProperty(window, name, refuse);
  Object.defineProperty(Navigator.prototype, "serviceWorker", refuse);
"""

#: Whether what has the focus is drawn a ring, itself or the ticket that it fills.
_RING = """() => {
  const ring = (each) => {
    const { outlineStyle, outlineWidth } = getComputedStyle(each);
    return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
  };
  const focused = document.activeElement;
  return ring(focused) || ring(focused.closest("li") ?? focused);
}"""


def test_where_nothing_may_be_stored_a_card_is_bought(house: House, terminal: Callable[..., Terminal]) -> None:
    sku, codes = house.product(1)
    buyer = terminal("pc")
    buyer.context.add_init_script(_NO_STORAGE)
    page = buyer.page
    page.goto("/")
    page.get_by_role("link", name=sku).click()
    buyer.button("去结算").click()
    buyer.button("提交订单 ¥9.90").click()
    expect(page.get_by_text("浏览器不让本店保存数据")).to_be_visible()
    assert violations(page) == []
    with buyer.context.expect_page() as opened:
        buyer.link("前往支付").click()
    opened.value.get_by_role("button", name="确认付款").click()
    expect(opened.value.get_by_text("请回到下单的那个页面")).to_be_visible()
    buyer.button("打开卡密").click()
    buyer.button("打开").click()
    expect(page.get_by_text(codes[0])).to_be_visible()


def test_without_push_the_page_asks_and_says_so(house: House, terminal: Callable[..., Terminal]) -> None:
    sku, _ = house.product(1)
    placed = house.placed(sku)
    buyer = terminal("pc")

    def refuse(socket: WebSocketRoute) -> None:
        socket.close(code=1011)

    buyer.page.route_web_socket("**", refuse)
    buyer.take_over(house, placed)
    expect(buyer.page.get_by_text("实时更新未连上")).to_be_visible()
    assert violations(buyer.page) == []
    with buyer.page.expect_response(lambda answer: placed["trade_id"] in answer.url and answer.status == 304):
        pass  # an order that did not change is not sent again
    house.pay(placed)
    expect(buyer.page.locator(".order-head .stamp")).to_have_text("发货成功")


def test_a_card_is_bought_with_the_keyboard_alone(house: House, terminal: Callable[..., Terminal]) -> None:
    sku, codes = house.product(1)
    buyer = terminal("pc", permissions=["clipboard-read", "clipboard-write"])
    page = buyer.page
    page.goto("/")
    expect(page.get_by_text(sku)).to_be_visible()
    page.keyboard.press("Tab")
    expect(buyer.link("跳到正文")).to_be_focused()
    page.keyboard.press("Enter")
    _tab_to(page, sku)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name=sku)).to_be_focused()
    _tab_to(page, "去结算")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="结算")).to_be_focused()
    expect(buyer.button("提交订单 ¥9.90")).to_be_enabled()
    _tab_to(page, "提交订单")
    page.keyboard.press("Space")
    expect(page.get_by_role("heading", level=1, name="订单")).to_be_focused()
    expect(buyer.link("前往支付")).to_be_visible()
    _tab_to(page, "前往支付")
    with buyer.context.expect_page() as opened:
        page.keyboard.press("Enter")
    expect(opened.value.get_by_role("button", name="确认付款")).to_be_visible()
    opened.value.bring_to_front()
    _tab_to(opened.value, "确认付款")
    opened.value.keyboard.press("Enter")
    expect(opened.value.locator(".order-head .stamp")).to_have_text("发货成功")
    opened.value.close()
    page.bring_to_front()
    expect(buyer.button("打开卡密")).to_be_visible()
    _tab_to(page, "打开卡密")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    _tab_to(page, "打开", exact=True)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="卡密")).to_be_focused()
    _tab_to(page, "复制")
    page.keyboard.press("Space")
    expect(page.get_by_text("已复制").last).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == codes[0]
    _tab_to(page, "收起")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="卡密")).to_be_focused()


def _tab_to(page: Page, words: str, *, exact: bool = False) -> None:
    """By Tab alone, and each stop on the way is seen to have the focus."""
    for _ in range(40):
        page.keyboard.press("Tab")
        text = page.evaluate("document.activeElement.innerText?.trim() ?? ''")
        assert page.evaluate(_RING), f"no ring around {text!r}"
        if text == words if exact else words in text:
            return
    raise AssertionError(f"{words} is not reached")


@pytest.mark.parametrize(
    ("width", "size"), [(320, "100%"), (320, "200%"), (640, "200%")], ids=["narrow", "narrow and large", "zoomed"]
)
def test_nothing_is_wider_than_a_narrow_screen(
    house: House, terminal: Callable[..., Terminal], width: int, size: str
) -> None:
    sku, _ = house.product(2)
    placed = house.placed(sku)
    buyer = terminal("pc", viewport={"width": width, "height": 700}, locale="en")
    page = buyer.page
    buyer.context.add_init_script(
        f"new MutationObserver(() => (document.documentElement.style.fontSize = '{size}'))"
        ".observe(document, { childList: true })"
    )

    def fits() -> None:
        assert (
            page.evaluate("getComputedStyle(document.documentElement).fontSize") == f"{16 * int(size[:-1]) / 100:g}px"
        )
        wider = page.evaluate("""() =>
          [...document.querySelectorAll("body *")]
            .filter((each) => each.checkVisibility() && !each.closest(".unseen, svg"))
            .filter((each) => each.getBoundingClientRect().right > innerWidth + 1)
            .map((each) => each.outerHTML.slice(0, 120))""")
        assert wider == []

    page.goto("/")
    expect(page.get_by_text(sku)).to_be_visible()
    fits()
    page.goto(f"/products/{sku}")
    expect(buyer.button("Check out")).to_be_visible()
    fits()
    buyer.button("Check out").click()
    page.get_by_text("To find your order again").click()
    fits()
    buyer.take_over(house, placed)
    fits()
    buyer.button("Other device").click()
    expect(page.locator("svg.qr")).to_be_visible()
    fits()
    buyer.button("Close").click()
    house.pay(placed)
    buyer.button("Open the codes").click()
    buyer.button("Open").click()
    expect(buyer.button("Copy all")).to_be_visible()
    fits()
    buyer.link("My orders").click()
    expect(page.locator(".order-row")).to_be_visible()
    fits()


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_what_moves_stands_still_for_those_who_ask(
    house: House, terminal: Callable[..., Terminal], motion: str
) -> None:
    buyer = terminal("pc", reduced_motion=motion)
    buyer.take_over(house, house.placed(house.product(1)[0]))
    expect(buyer.page.get_by_text("实时更新中")).to_be_visible()
    moving = buyer.page.evaluate("document.getAnimations().length")
    assert moving == 0 if motion == "reduce" else moving > 0


def test_only_the_pages_own_scripts_run(house: House, terminal: Callable[..., Terminal]) -> None:
    buyer = terminal("pc")
    answer = buyer.page.goto("/")
    assert answer
    assert "unsafe" not in answer.headers["content-security-policy"]
    buyer.foresee("Content Security Policy")
    buyer.page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.broken = true'}))"
    )
    assert not buyer.page.evaluate("window.broken")


def test_the_shop_can_be_installed(house: House, playwright: Playwright, chromium_path: str | None) -> None:
    """A window of its own: one that forgets, as the others here do, installs nothing."""
    with playwright.chromium.launch_persistent_context(
        "", executable_path=chromium_path, channel=None if chromium_path else "chrome"
    ) as context:
        page = context.pages[0]
        page.goto(house.outputs["PagesUrl"])
        found = context.new_cdp_session(page).send("Page.getInstallabilityErrors")
        assert found["installabilityErrors"] == []
