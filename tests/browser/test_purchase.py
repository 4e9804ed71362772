"""A buyer orders on the phone, pays at the computer, and both show what comes of it as it happens."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, expect

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


def test_a_hand_over_is_scanned_once(house: House, terminal: Callable[..., Terminal], chromium: Browser) -> None:
    first, second, third = terminal("pc"), terminal("phone"), terminal("phone")
    placed = house.placed(house.product(1)[0])
    first.take_over(house, placed)
    first.button("换设备继续").click()
    link = _scanned(chromium, first.page.locator("svg.qr").screenshot())
    assert link.startswith(f"{house.outputs['PagesUrl']}/handoff#")
    second.page.goto(link)
    expect(second.page.get_by_text(placed["trade_id"])).to_be_visible()
    assert second.page.url.endswith(f"/orders/{placed['trade_id']}"), "the code is not left in the address"
    first_asked = [
        next(n for n, asked in enumerate(second.asked) if what in asked) for what in ("/order-", "/api/handoffs")
    ]
    assert first_asked == sorted(first_asked), "the order's page comes while the code is sent"

    third.foresee("404 POST .*/api/handoffs", "Failed to load resource: .* 404")
    third.page.goto(link)
    expect(third.page.get_by_role("heading", name="这个码用不了了")).to_be_visible()
    expect(third.page.get_by_text("请在原设备上换一个新码再扫")).to_be_visible()
    expect(third.page.get_by_text(placed["trade_id"])).to_have_count(0)


def _scanned(chromium: Browser, picture: bytes) -> str:
    """What a camera reads there."""
    with chromium.new_page() as page:
        image = page.evaluate(
            """async (picture) => {
              const bitmap = await createImageBitmap(await (await fetch(picture)).blob());
              const canvas = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
              canvas.drawImage(bitmap, 0, 0);
              const { data, width, height } = canvas.getImageData(0, 0, bitmap.width, bitmap.height);
              return { data: [...data], width, height };
            }""",
            f"data:image/png;base64,{base64.b64encode(picture).decode()}",
        )
    read = """
      import { decodeQR } from "qr/decode.js";
      let image = "";
      for await (const part of process.stdin) image += part;
      const { data, width, height } = JSON.parse(image);
      process.stdout.write(decodeQR({ data: Uint8Array.from(data), width, height }));
    """
    command = ["node", "--input-type=module", "-e", read]
    here = Path(__file__).parent
    return subprocess.run(command, cwd=here, input=json.dumps(image), capture_output=True, text=True, check=True).stdout
