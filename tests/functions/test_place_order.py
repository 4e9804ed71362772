"""POST /orders."""

from __future__ import annotations

from typing import Any

import pytest
from cardshop.adapters.aws import client
from cardshop.api import tokens
from cardshop.domain import passwords
from cardshop.domain.card import Card

from tests.adapters.cloud import forget_settings, items
from tests.domain.builders import SKU, cards
from tests.functions.deployed import PUBLIC_URLS, SHOP_URL, Deployed, Logs
from tests.functions.samples import sample, with_body, with_header, with_json, with_trade

ONE_CARD = sample("place_order/one_card")


def test_an_order_is_answered_with_its_payment_and_its_token(shop: Deployed) -> None:
    shop.stock("CODE-1", "CODE-2")
    answer = shop.call("place_order", ONE_CARD)
    assert answer.status == 201
    assert (answer.headers["Content-Type"], answer.headers["Cache-Control"]) == ("application/json", "no-store")
    body = answer.json
    order = shop.stored(body["trade_id"])
    assert (body["status"], body["amount"]) == ("pending_payment", {"minor": 990, "currency": "CNY"})
    assert body["payment"]["payment_id"] == order.payments[0].payment_id
    assert body["payment"]["redirect_url"].startswith("https://pay.example.com/submit.php?pid=1001&")
    assert f"{SHOP_URL}/webhooks/epay".replace(":", "%3A").replace("/", "%2F") in body["payment"]["redirect_url"]
    assert body["expires_at"].endswith("Z")
    bearer = tokens.verify(shop.order_keys, f"Bearer {body['token']}", audience="order")
    assert (bearer.subject, bearer.terminal) == (order.trade_id, "mobile")
    assert len(order.cards) == 1
    assert len(items("StockTable")) == 1


def test_everything_the_buyer_told_is_kept_and_the_password_only_as_a_record(shop: Deployed, logs: Logs) -> None:
    shop.stock("CODE-1", "CODE-2")
    order = shop.stored(shop.call("place_order", sample("place_order/everything_told")).json["trade_id"])
    assert (order.email, order.terminal, len(order.cards)) == ("buyer@example.com", "pc", 2)
    assert order.last_change.actor.device == "device-1"
    assert order.password is not None
    assert passwords.matches("correct horse", order.password)
    assert "correct horse" not in str(items("OrdersTable")) + logs.text
    assert "buyer@example.com" not in logs.text


def test_an_order_is_looked_at_again_soon(shop: Deployed) -> None:
    """By `reconcile`: the notice of its payment may be lost."""
    shop.stock("CODE-1")
    order = shop.stored(shop.call("place_order", ONE_CARD).json["trade_id"])
    assert order.due_at == order.created_at + 60_000


def test_an_order_whose_payment_could_not_be_opened_is_placed_and_says_so(shop: Deployed) -> None:
    """It holds its cards, and is paid by asking again."""
    shop.stock("CODE-1")
    client("ssm").delete_parameter(Name="/cardshop/public-urls")
    answer = shop.call("place_order", ONE_CARD)
    assert answer.status == 201
    assert answer.json["payment"] == {"payment_id": f"{answer.json['trade_id']}01", "unavailable": True}
    assert len(shop.stored(answer.json["trade_id"]).cards) == 1
    client("ssm").put_parameter(Name="/cardshop/public-urls", Value=PUBLIC_URLS, Type="String")
    forget_settings()
    event = with_trade(with_json(sample("pay_order/another_channel"), channel="epay"), answer.json["trade_id"])
    paying = shop.call("pay_order", shop.as_holder(event, answer.json["trade_id"]))
    assert paying.status == 201
    assert paying.json["payment"]["payment_id"] == answer.json["payment"]["payment_id"]
    assert "redirect_url" in paying.json["payment"]


def test_the_same_request_again_is_the_same_order(shop: Deployed) -> None:
    shop.stock("CODE-1", "CODE-2")
    first, again = shop.call("place_order", ONE_CARD), shop.call("place_order", ONE_CARD)
    assert (again.status, again.json["trade_id"]) == (201, first.json["trade_id"])
    assert again.json["payment"] == first.json["payment"]
    assert len(items("StockTable")) == 1


def test_the_address_is_the_gateways_word_and_never_a_header(shop: Deployed) -> None:
    shop.stock("CODE-1")
    event = ONE_CARD
    for header in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP", "True-Client-IP"):
        event = with_header(event, header, "192.0.2.66")
    order = shop.stored(shop.call("place_order", event).json["trade_id"])
    assert order.last_change.actor.address == "203.0.113.7"
    assert "192.0.2.66" not in str(items("OrdersTable"))


def test_the_idempotency_key_is_found_whatever_its_header_is_written_like(shop: Deployed) -> None:
    shop.stock("CODE-1")
    key = ONE_CARD["headers"]["Idempotency-Key"]
    assert shop.call("place_order", with_header(ONE_CARD, "idempotency-key", key)).status == 201


def test_a_key_that_could_be_guessed_or_is_none_is_refused(shop: Deployed, subtests: pytest.Subtests) -> None:
    guessable = [None, "", "short", "x" * 21, "x" * 65, "a key with spaces in it", "é" * 22, "x" * 22 + "\n"]
    for key in guessable:
        with subtests.test(key=key):
            answer = shop.call("place_order", with_header(ONE_CARD, "Idempotency-Key", key))
            assert answer.is_problem(400, "invalid_idempotency_key")


QUANTITIES = [0, -1, 10**10, 1.5, 1e9, True, "1", None, [1]]


WRONG: list[dict[str, Any]] = [
    *[{"items": [{"sku": SKU, "quantity": quantity}]} for quantity in QUANTITIES],
    *[{"items": [{"sku": sku, "quantity": 1}]} for sku in ("", "a b", "-a", "x" * 65, f"{SKU}\n", "卡", 5)],
    {"items": []},
    {"items": None},
    {"items": {"sku": SKU, "quantity": 1}},
    {"items": [{"sku": SKU, "quantity": 1}] * 2},
    {"items": [{"sku": f"sku-{number}", "quantity": 1} for number in range(51)]},
    {"items": [{"sku": SKU, "quantity": 1, "price": 1}]},
    {"amount": {"minor": 1, "currency": "CNY"}},
    {"channel": ""},
    {"channel": 1},
    {"channel": "x" * 65},
    {"terminal": "fridge"},
    {"device_id": ""},
    {"device_id": "x" * 129},
    {"contact": {"email": "nobody"}},
    {"contact": {"email": "a@b.c", "phone": "1"}},
    {"query_password": ""},
    {"query_password": "x" * 257},
    {"payer": {"openid": 1}},
]


def test_a_request_of_another_shape_is_refused(shop: Deployed, subtests: pytest.Subtests) -> None:
    for wrong in WRONG:
        with subtests.test(wrong=wrong):
            answer = shop.call("place_order", with_json(ONE_CARD, **wrong))
            assert answer.is_problem(422, "unprocessable")
            assert answer.json["detail"].startswith(next(iter(wrong)))
    assert items("OrdersTable") == []


def test_a_refusal_names_the_field_and_never_its_value(shop: Deployed, logs: Logs) -> None:
    answer = shop.call("place_order", with_json(ONE_CARD, query_password=["hunter2"], device_id={"hunter2": 1}))
    assert answer.is_problem(422, "unprocessable")
    assert "hunter2" not in answer.text + logs.text


UNSALEABLE: list[tuple[dict[str, Any], int, str]] = [
    ({"items": [{"sku": SKU, "quantity": 2}]}, 409, "out_of_stock"),
    ({"items": [{"sku": SKU, "quantity": 51}]}, 422, "too_many_cards"),
    ({"items": [{"sku": SKU, "quantity": 10**9}]}, 422, "too_many_cards"),
    ({"items": [{"sku": "hidden", "quantity": 1}]}, 422, "unknown_product"),
    ({"items": [{"sku": "unknown", "quantity": 1}]}, 422, "unknown_product"),
    ({"channel": "unknown"}, 422, "unknown_channel"),
]


def test_what_cannot_be_sold_is_refused_and_nothing_is_written(shop: Deployed, subtests: pytest.Subtests) -> None:
    shop.product("hidden", on_sale=False)
    shop.stock("CODE-1")
    for changed, status, code in UNSALEABLE:
        with subtests.test(changed=changed):
            assert shop.call("place_order", with_json(ONE_CARD, **changed)).is_problem(status, code)
    assert items("OrdersTable") == []
    assert len(items("StockTable")) == 1


def test_a_key_used_for_another_request_is_refused(shop: Deployed) -> None:
    shop.stock("CODE-1", "CODE-2")
    shop.call("place_order", ONE_CARD)
    assert shop.call("place_order", with_json(ONE_CARD, terminal="pc")).is_problem(422, "idempotency_key_reused")


def test_a_buyer_with_too_many_unpaid_orders_is_told_when_to_come_back(shop: Deployed) -> None:
    shop.stock(*(f"CODE-{number}" for number in range(9)))
    answers = [
        shop.call("place_order", with_header(ONE_CARD, "Idempotency-Key", f"{number}".rjust(36, "k")))
        for number in range(4)
    ]
    assert [answer.status for answer in answers] == [201, 201, 201, 429]
    assert answers[3].is_problem(429, "too_many_holds")
    assert 1 <= int(answers[3].headers["Retry-After"]) <= 1800


def test_contention_that_does_not_end_is_told_to_try_again(shop: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given a listing of cards that are all gone by the time they are claimed."""
    shop.stock("CODE-1")
    gone: tuple[Card, ...] = cards(1)
    monkeypatch.setattr("cardshop.adapters.stock.DynamoPool.look", lambda *_, **__: list(gone))
    answer = shop.call("place_order", ONE_CARD)
    assert answer.is_problem(503, "busy")
    assert answer.headers["Retry-After"] == "1"
    assert items("OrdersTable") == []


def test_a_request_with_a_body_that_is_not_encoded_is_read_too(shop: Deployed) -> None:
    """As the console's test button sends it."""
    shop.stock("CODE-1")
    body = '{"items": [{"sku": "steam-50", "quantity": 1}], "channel": "epay", "terminal": "api"}'
    assert shop.call("place_order", {**ONE_CARD, "body": body, "isBase64Encoded": False}).status == 201
    assert shop.call("place_order", with_body(ONE_CARD, b"")).is_problem(400, "invalid_request")
