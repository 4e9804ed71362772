"""The shop as a browser meets it: pages and API behind one name, served by the distribution."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from engine import deploy, pages
from engine.stacks import Stack
from tests.house import House, bearer, ok


@pytest.fixture(scope="module")
def browser(house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """At the pages' own address, with two files there. Only Chromium looks for such a name on this machine."""
    folder: Path = tmp_path_factory.mktemp("dist")
    (folder / "assets").mkdir()
    (folder / "index.html").write_text("<!doctype html><title>the shop</title>")
    (folder / "assets" / "a-1.js").write_text("1")
    pages.upload(Stack(house.stack, partial(deploy.aws, house.home)), folder)
    host = urlsplit(house.outputs["PagesUrl"]).netloc
    with httpx.Client(base_url=house.home.endpoint, headers={"Host": host}, timeout=60) as browser:
        yield browser


@pytest.mark.parametrize("path", ["/", "/orders/m5qk7c2xj3zv6n4wtyb2hdgl5e", "/products/steam.50"])
def test_every_path_of_the_pages_is_the_page(browser: httpx.Client, path: str) -> None:
    page = browser.get(path)
    assert page.status_code == 200
    assert "the shop" in page.text
    assert (page.headers["Cache-Control"], page.headers["X-Content-Type-Options"]) == ("no-cache", "nosniff")
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["Strict-Transport-Security"].startswith("max-age=63072000")


def test_a_file_is_itself_or_not_there(browser: httpx.Client) -> None:
    script = browser.get("/assets/a-1.js")
    assert (script.text, script.headers["Cache-Control"]) == ("1", "public, max-age=31536000, immutable")
    assert browser.get("/assets/b-2.js").is_client_error


def test_the_pages_are_told_where_to_listen(house: House, browser: httpx.Client) -> None:
    assert ok(browser.get("/config.json")) == {"api": "/api", "push": house.outputs["PushUrl"]}


def test_an_order_is_placed_and_handed_over_behind_the_pages_name(house: House, browser: httpx.Client) -> None:
    sku, _ = house.product(1)
    order = {"items": [{"sku": sku, "quantity": 1}], "channel": "epay", "terminal": "mobile"}
    viewer = {"CloudFront-Viewer-Address": "2001:db8::7:4433"}  # on AWS it is CloudFront's to say
    key = {"Idempotency-Key": str(uuid.uuid4())}
    placed = ok(browser.post("/api/orders", headers={**viewer, **key}, json=order))
    code = ok(browser.post(f"/api/orders/{placed['trade_id']}/handoffs", headers=bearer(placed)))["code"]
    taken = ok(browser.post("/api/handoffs", json={"code": code, "terminal": "pc"}))
    seen = browser.get(f"/api/orders/{placed['trade_id']}", headers=bearer(taken))
    assert ok(seen)["timeline"][0]["address"] == "2001:db8::7"
    again = browser.get(
        f"/api/orders/{placed['trade_id']}", headers={**bearer(taken), "If-None-Match": seen.headers["ETag"]}
    )
    assert again.status_code == 304


def test_whoever_calls_the_api_itself_does_not_say_who_calls(house: House) -> None:
    placed = house.placed(house.product(1)[0])
    viewer = {"CloudFront-Viewer-Address": "2001:db8::7:4433", "Cardshop-Edge": "a guess"}
    ok(house.api.post(f"/orders/{placed['trade_id']}/cancel", headers={**bearer(placed), **viewer}))
    assert "2001:db8" not in str(house.view(placed)["timeline"])


def test_a_channel_is_offered_to_buyers_until_it_is_not(house: House, browser: httpx.Client) -> None:
    name = house.channel(f"spare-{uuid.uuid4().hex[:8]}")
    offers = {each["channel"]: each for each in ok(browser.get("/api/channels"))["channels"]}
    assert offers[name].keys() == {"channel", "provider", "terminals", "ways", "currencies", "currency"}
    placed = house.placed(house.product(1)[0], channel=name)
    path = f"/admin/channels/{name}/offer"
    ok(house.api.put(path, headers=house.operator, json={"offered": False}))
    assert name not in [each["channel"] for each in ok(browser.get("/api/channels"))["channels"]]
    assert "redirect_url" in ok(house.act(placed, "payments", {"channel": name}))["payment"]
