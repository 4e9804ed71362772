"""Without a network: what was seen last, how old it is, and codes only for those who kept them with a passphrase."""

from __future__ import annotations

import time
from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.axe import violations
from tests.browser.terminal import Terminal
from tests.house import House

_HOURS = 3

#: Everything that this origin keeps in this browser, as one text.
_KEPT = """async () => {
  const kept = [JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.cookie];
  const text = (_, value) =>
    value instanceof ArrayBuffer || ArrayBuffer.isView(value)
      ? new TextDecoder("latin1").decode(value)
      : value;
  for (const { name } of await indexedDB.databases()) {
    const database = await new Promise((found) => {
      indexedDB.open(name).onsuccess = ({ target }) => found(target.result);
    });
    for (const store of database.objectStoreNames) {
      const all = await new Promise((found) => {
        database.transaction(store).objectStore(store).getAll().onsuccess = ({ target }) => found(target.result);
      });
      kept.push(JSON.stringify(all, text));
    }
    database.close();
  }
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    for (const request of await cache.keys()) kept.push(request.url, await (await cache.match(request)).text());
  }
  return kept.join("\\n");
}"""


def _with_pages_kept(terminal: Terminal) -> None:
    terminal.page.goto("/")
    terminal.page.evaluate("navigator.serviceWorker.ready.then(() => undefined)")


def _leave_network(terminal: Terminal) -> None:
    terminal.foresee("ERR_INTERNET_DISCONNECTED")
    devtools = terminal.context.new_cdp_session(terminal.page)
    devtools.send("Network.clearBrowserCache")  # what is fresh for seconds is not there after hours
    devtools.detach()
    terminal.context.set_offline(True)
    page, left = terminal.page, terminal.page.url
    page.goto("about:blank")  # an answer may be on its way still, and the new clock stands at zero until it is set
    page.clock.set_fixed_time(time.time() + 3600 * _HOURS)
    page.goto(left)
    page.reload()


def test_pages_catalogue_and_orders_stay_say_their_age_and_catch_up(
    house: House, terminal: Callable[..., Terminal]
) -> None:
    sku, _ = house.product(1)
    placed = house.placed(sku)
    buyer = terminal("phone")
    page = buyer.page
    _with_pages_kept(buyer)
    expect(page.get_by_text(sku)).to_be_visible()
    buyer.take_over(house, placed)
    _leave_network(buyer)
    expect(page.locator(".order-head .stamp")).to_have_text("待支付")
    expect(page.get_by_text("您已离线 订单状态停在3小时前。")).to_be_visible()
    assert violations(page) == []
    buyer.link("我的订单").tap()
    expect(page.get_by_role("link", name=f"{sku} × 1")).to_contain_text("订单状态停在3小时前")
    buyer.link("选购").tap()
    expect(page.get_by_text("您已离线 商品与库存停在3小时前。")).to_be_visible()
    assert violations(page) == []
    expect(page.get_by_text(sku)).to_be_visible()
    page.goto(f"/orders/{placed['trade_id']}")
    expect(page.locator(".order-head .stamp")).to_have_text("待支付")
    house.pay(placed)
    version = house.until(placed, "delivered")["version"]
    buyer.context.set_offline(False)
    expect(page.locator(".order-head .stamp")).to_have_text("发货成功")
    expect(page.locator(".timeline > li")).to_have_count(version)
    expect(page.get_by_text("您已离线")).to_have_count(0)


def test_codes_are_kept_only_sealed_and_open_offline_with_their_passphrase(
    house: House, terminal: Callable[..., Terminal]
) -> None:
    sku, codes = house.product(2)
    placed = house.placed(sku, 2)
    house.pay(placed)
    house.until(placed, "delivered")
    buyer = terminal("pc")
    page = buyer.page
    _with_pages_kept(buyer)
    buyer.take_over(house, placed)
    buyer.button("打开卡密").click()
    buyer.button("打开").click()
    for code in codes:
        expect(page.get_by_text(code)).to_be_visible()
    _nowhere(buyer, placed["trade_id"], codes)
    buyer.button("保存到本机").click()
    page.get_by_label("口令", exact=True).fill("correct horse 电池")
    page.get_by_label("再输一次").fill("correct horse 电池")
    buyer.button("加密保存").click()
    expect(page.locator(".note.good")).to_be_visible()
    _nowhere(buyer, placed["trade_id"], codes)

    _leave_network(buyer)
    buyer.button("打开卡密").click()
    buyer.button("打开").click()
    expect(page.get_by_text("没有网络")).to_be_visible()
    buyer.button("用口令打开").click()
    page.get_by_label("口令").fill("correct horse")
    buyer.button("打开").click()
    expect(page.get_by_text("口令不对")).to_be_visible()
    expect(page.get_by_text(codes[0])).to_have_count(0)
    page.get_by_label("口令").fill("correct horse 电池")
    buyer.button("打开").click()
    for code in codes:
        expect(page.get_by_text(code)).to_be_visible()
    _nowhere(buyer, placed["trade_id"], codes)
    buyer.button("收起").click()
    buyer.button("删除本机副本").click()
    expect(buyer.button("用口令打开")).to_have_count(0)


def _nowhere(buyer: Terminal, trade_id: str, codes: list[str]) -> None:
    kept = buyer.page.evaluate(_KEPT)
    assert trade_id in kept, "what is kept is found"
    assert "<!doctype html>" in kept.lower(), "in the caches too"
    assert not [code for code in codes if code in kept]
