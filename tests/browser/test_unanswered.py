"""Where answers are lost, late or not the shop's: nothing is ordered twice, and no page waits for ever or lies."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable

from playwright.sync_api import Route, expect

from tests.browser.axe import violations
from tests.browser.terminal import Terminal
from tests.house import House, ok

_PLACE = re.compile(r"/api/orders$")
_OWN = ("Failed to load resource", "no answer: ", "refused: ")


def _throttle(route: Route) -> None:
    route.fulfill(status=429, content_type="application/problem+json", body=json.dumps({"code": "throttled"}))


def test_an_order_whose_answer_was_lost_is_gone_on_with_before_another_is_placed(
    house: House, terminal: Callable[..., Terminal]
) -> None:
    sku, _ = house.product(3)
    buyer = terminal("pc")
    buyer.foresee(*_OWN)
    page = buyer.page
    page.goto(f"/checkout/{sku}")

    def lose(route: Route) -> None:
        """It is done, and nobody hears of it."""
        sent = route.request
        headers = {name: sent.headers[name] for name in ("content-type", "idempotency-key")}
        assert house.api.post("/orders", headers=headers, content=sent.post_data).status_code == 201
        route.abort()

    page.route(_PLACE, lose)
    buyer.button("提交订单 ¥9.90").click()
    expect(page.get_by_text("再次提交会继续同一订单")).to_be_visible()
    expect(buyer.button("提交订单 ¥9.90")).to_be_focused()
    expect(page.locator("fieldset.panel input").first).to_be_disabled()
    assert violations(page) == []
    page.route(_PLACE, _throttle)
    buyer.button("提交订单 ¥9.90").click()
    expect(page.get_by_text("请求太多")).to_be_visible()
    expect(page.locator("fieldset.panel input").first).to_be_disabled()

    page.unroute(_PLACE)
    sent = len(buyer.asked)
    page.goto(f"/checkout/{sku}?quantity=2")  # others than were asked for: not without being told
    expect(page.get_by_text("该订单是 1 件")).to_be_visible()
    assert not [each for each in buyer.asked[sent:] if each.startswith("POST")]
    buyer.button("提交订单 ¥9.90").click()
    expect(page.locator(".order-head .stamp")).to_have_text("待支付")
    placed = [item for item in house.items("Orders") if sku in json.dumps(item["lines"])]
    assert len(placed) == 1


def test_an_order_that_was_never_seen_yet_says_why_and_comes_when_it_can(
    house: House, terminal: Callable[..., Terminal]
) -> None:
    placed = house.placed(house.product(1)[0])
    code = ok(house.act(placed, "handoffs"))["code"]
    buyer = terminal("phone")
    buyer.foresee(*_OWN)
    page = buyer.page
    page.route(re.compile(f"/api/orders/{placed['trade_id']}$"), lambda route: route.fulfill(status=503, body="{}"))
    page.goto(f"/handoff#{code}")
    expect(buyer.button("重试")).to_be_visible()
    expect(page.locator(".skeleton")).to_have_count(0)
    assert violations(page) == []
    page.unroute_all()
    buyer.button("重试").tap()
    expect(page.locator(".order-head .stamp")).to_have_text("待支付")


def test_orders_that_the_server_does_not_vouch_for_say_how_old_they_are(
    house: House, terminal: Callable[..., Terminal]
) -> None:
    placed = house.placed(house.product(1)[0])
    buyer = terminal("phone")
    buyer.foresee(*_OWN)
    page = buyer.page
    buyer.take_over(house, placed)
    page.goto("about:blank")
    page.clock.set_fixed_time(time.time() + 3600 * 3)
    page.route(re.compile("/api/orders/"), lambda route: route.abort())
    page.goto("/orders")
    row = page.locator(".order-row")
    expect(row).to_contain_text("订单状态停在3小时前")
    page.unroute_all()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # as if from the tab in which it was paid
    expect(row).not_to_contain_text("订单状态停在")


def test_the_way_past_the_menu_is_no_code(house: House, terminal: Callable[..., Terminal]) -> None:
    code = ok(house.act(house.placed(house.product(1)[0]), "handoffs"))["code"]
    buyer = terminal("pc")
    buyer.foresee(*_OWN)
    page = buyer.page
    page.route(re.compile("/api/handoffs"), lambda route: route.abort())
    page.goto(f"/handoff#{code}")
    expect(buyer.button("重试")).to_be_visible()
    sent = len(buyer.asked)
    buyer.link("跳到正文").press("Enter")
    expect(buyer.button("重试")).to_be_visible()
    assert not [each for each in buyer.asked[sent:] if each.startswith("POST")]
    page.unroute_all()
    buyer.button("重试").click()
    expect(page.locator(".order-head .stamp")).to_have_text("待支付")


def test_what_is_said_while_a_dialog_is_open_is_said_in_it(house: House, terminal: Callable[..., Terminal]) -> None:
    placed = house.placed(house.product(1)[0])
    buyer = terminal("pc", permissions=["clipboard-read", "clipboard-write"])
    page = buyer.page
    buyer.take_over(house, placed)
    buyer.button("换设备继续").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="复制链接").click()
    expect(dialog.get_by_role("status").filter(has_text="已复制")).to_be_attached()
    link = dialog.locator(".address").inner_text()
    assert page.evaluate("navigator.clipboard.readText()") == link
    assert violations(page) == []
