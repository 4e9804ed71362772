"""A buyer orders on the phone, pays at the computer, and both show what comes of it as it happens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.terminal import Terminal
from tests.house import House


def test_ordered_on_a_phone_paid_at_a_computer_and_both_show_it_by_push(
    house: House, terminal: Callable[..., Terminal]
) -> None:
    sku, codes = house.product(1)
    phone, pc = terminal("phone", permissions=["clipboard-read", "clipboard-write"]), terminal("pc")

    phone.page.goto("/")
    phone.page.get_by_role("link", name=sku).tap()
    phone.button("去结算").tap()
    phone.button("提交订单 ¥9.90").tap()
    expect(phone.page.get_by_text("待支付").first).to_be_visible()
    phone.button("换设备继续").tap()
    phone.button("复制链接").tap()
    link = phone.page.evaluate("navigator.clipboard.readText()")
    phone.button("关闭").tap()

    pc.page.goto(link)
    pc.button("显示支付方式").click()
    with pc.context.expect_page() as opened:
        pc.link("前往支付").click()
    expect(phone.page.get_by_text("实时更新中")).to_be_visible()
    expect(pc.page.get_by_text("实时更新中")).to_be_visible()
    phone.asked.clear()
    opened.value.get_by_role("button", name="确认付款").click()

    for each in (phone, pc):
        expect(each.page.locator(".order-head .stamp")).to_have_text("发货成功")
        assert each.shown[-3:] == ["待支付", "支付成功", "发货成功"]
    assert phone.asked == []

    phone.button("打开卡密").tap()
    phone.button("打开").tap()
    expect(phone.page.get_by_text(codes[0])).to_be_visible()
    phone.button("全部复制").tap()
    expect(phone.page.get_by_text("已复制").last).to_be_visible()
    assert phone.page.evaluate("navigator.clipboard.readText()") == codes[0]
    with phone.page.expect_download() as saved:
        phone.button("下载文本").tap()
    assert Path(saved.value.path()).read_text() == f"{codes[0]}\n"
