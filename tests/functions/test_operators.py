"""PUT /admin/products/{sku}, PUT /admin/channels/{channel}, POST /admin/products/{sku}/cards."""

from __future__ import annotations

from typing import Any

import pytest
from cardshop.adapters.catalogue import DynamoCatalogue
from cardshop.adapters.settings import ChannelSettings
from cardshop.domain import looks
from cardshop.domain.money import Money
from cardshop.domain.trade import Status

from tests.adapters.cloud import Waiting, forget_settings, items
from tests.domain.builders import AFTER_SALE_MS, NOW, SKU, placed
from tests.functions.deployed import Deployed, Logs
from tests.functions.samples import Event, sample, with_body, with_json

PRODUCT, CHANNEL, OFFER, FILE = (
    sample("manage_catalogue/save_product"),
    sample("manage_channels/epay"),
    sample("manage_channels/no_more_offered"),
    sample("import_cards/file"),
)
PRICE = {"minor": 990, "currency": "CNY"}


# ---- products ----


def test_a_saved_product_is_answered_and_on_sale(shop: Deployed, logs: Logs) -> None:
    event = with_json(PRODUCT, name="Steam 五十元", price={"minor": 1, "currency": "JPY"})
    answer = shop.call("manage_catalogue", shop.as_operator(event))
    assert answer.status == 200
    assert answer.json == {
        "sku": SKU,
        "name": "Steam 五十元",
        "category": "游戏 Games",
        "description": "充值后立即到账。\nCredited at once.",
        "price": {"minor": 1, "currency": "JPY"},
        "status": "on_sale",
    }
    product = DynamoCatalogue().find(SKU)
    assert product is not None
    assert (product.name, product.price, product.on_sale) == ("Steam 五十元", Money(1, "JPY"), True)
    assert (product.category, DynamoCatalogue().description(SKU)) == (
        answer.json["category"],
        answer.json["description"],
    )
    assert any(line.get("operator") == "alice" for line in logs.lines)  # who did it


def test_a_product_is_saved_whole(shop: Deployed) -> None:
    """What is not said is not so any more."""
    shop.call("manage_catalogue", shop.as_operator(PRODUCT))
    answer = shop.call("manage_catalogue", shop.as_operator(with_json(PRODUCT, category=None, description=None)))
    assert answer.json.keys() == {"sku", "name", "price", "status"}
    product = DynamoCatalogue().find(SKU)
    assert product is not None
    assert (product.category, DynamoCatalogue().description(SKU)) == (None, None)


def test_a_product_is_hidden_without_losing_its_stock(shop: Deployed) -> None:
    shop.stock("CODE-1")
    assert shop.call("manage_catalogue", shop.as_operator(with_json(PRODUCT, status="hidden"))).status == 200
    product = DynamoCatalogue().find(SKU)
    assert product is not None
    assert (product.on_sale, product.quantity) == (False, 1)


PRICES = [{**PRICE, "minor": minor} for minor in (0, -1, 9.9, True, "990", 10**12)]
CURRENCIES = [{**PRICE, "currency": currency} for currency in ("cny", "CN", "CNYX", "元", 5)]


WRONG: list[dict[str, Any]] = [
    *[{"price": price} for price in (*PRICES, *CURRENCIES, None, 990, {**PRICE, "tax": 1})],
    *[{"name": name} for name in ("", "x" * 121, None, 5)],
    *[{"status": status} for status in ("sold", True, None)],
    *[{"category": category} for category in ("", "x" * 41, 5)],
    *[{"description": description} for description in ("", "x" * 2001, ["x"])],
    {"stock": 5},
]


def test_a_product_of_another_shape_is_refused(shop: Deployed, subtests: pytest.Subtests) -> None:
    before = items("CatalogueTable")
    for wrong in WRONG:
        with subtests.test(wrong=wrong):
            answer = shop.call("manage_catalogue", shop.as_operator(with_json(PRODUCT, **wrong)))
            assert answer.is_problem(422, "unprocessable")
            assert answer.json["detail"].startswith(next(iter(wrong)))
    assert items("CatalogueTable") == before


def test_a_sku_of_another_shape_is_refused(shop: Deployed, subtests: pytest.Subtests) -> None:
    before = items("CatalogueTable")
    for sku in ("-steam", "a b", "卡", "x" * 65, "a#b"):
        with subtests.test(sku=sku):
            event = {**PRODUCT, "path": f"/admin/products/{sku}", "pathParameters": {"sku": sku}}
            answer = shop.call("manage_catalogue", shop.as_operator(event))
            assert answer.status in (404, 422)  # `#` is in no path that the router knows
            assert answer.headers["Content-Type"] == "application/problem+json"
    assert items("CatalogueTable") == before


# ---- channels ----


def test_a_channel_is_saved_and_its_key_never_comes_back(
    shop: Deployed, logs: Logs, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = shop.call("manage_channels", shop.as_operator(with_json(CHANNEL, key="a-new-key", pid="1002")))
    settings = {"url": "https://pay.example.com", "pid": "1002", "type": "alipay"}
    assert (answer.status, answer.json) == (200, {"channel": "epay", "provider": "epay", **settings})
    forget_settings()  # another process
    channel = ChannelSettings("/cardshop/channels").find("epay")
    assert channel is not None
    assert (channel.settings, channel.secrets) == (settings, {"key": "a-new-key"})
    out = capsys.readouterr().out
    assert "a-new-key" not in answer.text + logs.text + out + str(items("CatalogueTable"))
    assert "PaymentSettingsChanged" in out  # and somebody is told


BAD_SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"key": ""}, "key"),
    ({"key": None}, "key"),
    ({"pid": "10 01"}, "pid"),
    ({"url": "http://pay.example.com"}, "url"),
    ({"url": "nowhere"}, "url"),
    ({"type": "cash"}, "type"),
    ({"provider": "nonesuch"}, "provider"),
    ({"provider": None}, "provider"),
    ({"provider": 5}, "provider"),
    ({"webhook": "x"}, "webhook"),
]


def test_a_bad_setting_is_named_and_nothing_is_saved(shop: Deployed, subtests: pytest.Subtests) -> None:
    before = items("CatalogueTable")
    for wrong, field in BAD_SETTINGS:
        with subtests.test(wrong=wrong):
            answer = shop.call("manage_channels", shop.as_operator(with_json(CHANNEL, **wrong)))
            assert answer.is_problem(422, "unprocessable")
            assert answer.json["detail"].startswith(field)
            assert "merchant-key" not in answer.text
    assert items("CatalogueTable") == before


def test_a_setting_that_is_no_text_is_refused(shop: Deployed, subtests: pytest.Subtests) -> None:
    before = items("CatalogueTable")
    for value in (5, True, ["x"], {"a": "b"}, "x" * 5000):
        with subtests.test(value=value):
            answer = shop.call("manage_channels", shop.as_operator(with_json(CHANNEL, key=value)))
            assert answer.status in (400, 422)
            assert answer.json["detail"].startswith("key")
    assert items("CatalogueTable") == before


def test_a_channel_of_another_name_is_refused(shop: Deployed, subtests: pytest.Subtests) -> None:
    before = items("CatalogueTable")
    for name in ("Epay", "-epay", "e pay", "x" * 33, "支付"):
        with subtests.test(name=name):
            event = {**CHANNEL, "path": f"/admin/channels/{name}", "pathParameters": {"channel": name}}
            assert shop.call("manage_channels", shop.as_operator(event)).is_problem(422, "unprocessable")
    assert items("CatalogueTable") == before


def test_a_channel_is_taken_off_the_buyers_choice_without_its_key(shop: Deployed, logs: Logs) -> None:
    answer = shop.call("manage_channels", shop.as_operator(OFFER))
    assert (answer.status, answer.json) == (200, {"channel": "epay", "offered": False, "title": "支付宝 Alipay"})
    assert any(line.get("operator") == "alice" for line in logs.lines)
    forget_settings()  # another process
    channel = ChannelSettings("/cardshop/channels").find("epay")
    assert channel is not None
    assert (channel.offered, channel.secrets) == (False, {"key": "merchant-key"})


def test_an_offer_of_another_shape_or_of_no_channel_is_refused(shop: Deployed, subtests: pytest.Subtests) -> None:
    before = items("CatalogueTable")
    for wrong in ({"offered": "no"}, {"offered": None}, {"title": ""}, {"title": "x" * 41}, {"key": "x"}):
        with subtests.test(wrong=wrong):
            assert shop.call("manage_channels", shop.as_operator(with_json(OFFER, **wrong))).is_problem(
                422, "unprocessable"
            )
    for name, status, code in (("nowhere", 404, "not_found"), ("Epay", 422, "unprocessable")):
        with subtests.test(name=name):
            event = {**OFFER, "path": f"/admin/channels/{name}/offer", "pathParameters": {"channel": name}}
            assert shop.call("manage_channels", shop.as_operator(event)).is_problem(status, code)
    assert items("CatalogueTable") == before


# ---- cards ----


def imported(shop: Deployed, raw: bytes, event: Event = FILE) -> Any:
    return shop.call("import_cards", shop.as_operator(with_body(event, raw)))


def test_a_file_is_imported_with_its_duplicates_named_by_line(shop: Deployed, logs: Logs) -> None:
    answer = shop.call("import_cards", shop.as_operator(FILE))
    assert answer.status == 201
    assert (answer.json["sku"], answer.json["imported"], answer.json["duplicates"]) == (SKU, 2, [4])
    assert (answer.json["status"], answer.json["encoding"]) == ("on_sale", "utf-8")
    assert len(items("StockTable")) == 2
    (line,) = [line for line in logs.lines if line["message"] == "imported"]
    assert (line["sku"], line["batch"], line["cards"], line["operator"]) == (SKU, answer.json["batch"], 2, "alice")


def test_the_same_file_again_is_there_already(shop: Deployed) -> None:
    first, again = (shop.call("import_cards", shop.as_operator(FILE)) for _ in range(2))
    assert (first.status, again.status) == (201, 200)
    assert again.json == first.json
    assert len(items("StockTable")) == 2


def test_codes_in_stock_are_named_by_line(shop: Deployed) -> None:
    shop.stock("CODE-1", "CODE-2")
    answer = imported(shop, b"CODE-3\nCODE-2\n")
    assert (answer.status, answer.json["imported"], answer.json["duplicates"]) == (201, 1, [2])


def test_orders_that_await_stock_are_served_before_anything_goes_on_sale(shop: Deployed, waiting: Waiting) -> None:
    late = placed().payments[0]
    shop.order(
        placed(),
        lambda order: order.closed(NOW),
        lambda order: order.settled(late.payment_id, late.amount, None, NOW, lacking=SKU),
    )
    shop.wait_with("token")
    waiting.add("token")
    answer = imported(shop, b"CODE-1\nCODE-2")
    assert (answer.status, answer.json["imported"]) == (201, 2)
    order = shop.stored()
    assert (order.status, order.lacking, len(order.cards)) == (Status.DELIVERED, None, 1)
    assert order.due_at == order.last_change.at + looks.SOON, "a lost wake-up is found soon"
    assert order.after_sale_until == order.last_change.at + AFTER_SALE_MS
    assert waiting == set(), "its machine goes on"
    (left,) = [item for item in items("StockTable") if item["pool"]["S"].split("#")[1] == answer.json["batch"]]
    assert left["card_id"]["S"] != order.cards[0].card_id
    product = DynamoCatalogue().find(SKU)
    assert product is not None
    assert product.quantity == 1


def test_a_file_in_gbk_is_read_as_such_and_says_so(shop: Deployed) -> None:
    """The same codes are the same cards, however they are written."""
    codes = "礼品卡-1\r\n点卡-2\r\n"
    first = imported(shop, codes.encode("gbk"))
    assert (first.status, first.json["imported"], first.json["encoding"]) == (201, 2, "gbk")
    again = imported(shop, codes.encode())
    assert (again.status, again.json) == (200, {**first.json, "encoding": "utf-8"})


def test_a_file_of_nothing_but_duplicates_leaves_nothing_behind(shop: Deployed) -> None:
    shop.stock("CODE-1", "CODE-2")
    before = items("SealedTable"), items("StockTable"), items("CatalogueTable")
    answer = imported(shop, b"CODE-2\nCODE-1\n\nCODE-2\n")
    assert answer.is_problem(422, "nothing_to_import")
    assert answer.json["detail"].endswith("lines 1, 2, 4")
    assert (items("SealedTable"), items("StockTable"), items("CatalogueTable")) == before


NO_FILES = {
    "nothing": (b"", 422, "nothing_to_import"),
    "blank": (b"\n\n", 422, "nothing_to_import"),
    "neither UTF-8 nor GBK": (b"\xff\xfe", 422, "unprocessable"),
    "NUL": (b"A\0B", 422, "unprocessable"),
    "a long line": (b"x" * 5000, 422, "unprocessable"),
    "many lines": (b"a\n" * 10_001, 422, "unprocessable"),
    "large": (b"a" * (4 * 1024 * 1024 + 1), 413, "body_too_large"),
}


def test_a_file_that_is_none_is_refused_whole(shop: Deployed, subtests: pytest.Subtests) -> None:
    for name, (raw, status, code) in NO_FILES.items():
        with subtests.test(name):
            assert imported(shop, raw).is_problem(status, code)
    assert items("StockTable") == items("SealedTable") == []


def test_cards_of_an_unknown_product_are_refused(shop: Deployed) -> None:
    event = {**FILE, "path": "/admin/products/unknown/cards", "pathParameters": {"sku": "unknown"}}
    assert imported(shop, b"CODE-1", event).is_problem(404, "not_found")
    assert items("SealedTable") == []
