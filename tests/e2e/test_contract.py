"""The API, end to end on the deployed stack with IAM enforced."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest

from tests.e2e.notices import fields, signed
from tests.house import House, bearer, ok, wait_until
from tests.invariants.checker import assert_sound


@pytest.fixture(autouse=True)
def sound_at_the_end(house: House) -> Iterator[None]:
    yield
    assert_sound(house)


def problem(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    said = answer.json()
    assert (said["status"], said["code"]) == (status, code)
    assert said["title"]
    assert said["detail"]


def test_one_card_is_sold(house: House) -> None:
    sku, codes = house.product(3)
    placed = house.placed(sku, contact={"email": "buyer@example.com"}, query_password="secret words", device_id="d-1")
    assert placed["status"] == "pending_payment"
    assert placed["amount"] == {"minor": 990, "currency": "CNY"}
    assert placed["payment"]["payment_id"].startswith(placed["trade_id"])
    assert placed["payment"]["redirect_url"].startswith(house.home.provider_url + "/submit.php?")
    problem(house.api.post(f"/orders/{placed['trade_id']}/cards", headers=bearer(placed)), 409, "not_delivered")

    house.pay(placed)
    order = house.until(placed, "delivered")
    revealed = house.api.post(f"/orders/{placed['trade_id']}/cards", headers=bearer(placed))
    assert revealed.headers["cache-control"] == "no-store"
    (card,) = revealed.json()["cards"]
    assert card["sku"] == sku
    assert card["code"] in codes
    assert house.cards(placed) == [card["code"]], "the holder may read again"

    wait_until(lambda: len(house.view(placed)["timeline"]) == 5, lambda: str(house.view(placed)["timeline"]))
    order = house.view(placed)
    assert [(each["version"], each["what"]) for each in order["timeline"]] == [
        (1, "pending_payment"),
        (2, "paid"),
        (3, "delivered"),
        (4, "cards_revealed"),
        (5, "cards_revealed"),
    ]
    first, reveal = order["timeline"][0], order["timeline"][3]
    assert first["terminal"] == "pc"
    assert datetime.fromisoformat(first["when"]).utcoffset() is not None
    assert (reveal["terminal"], reveal["device"], reveal["address"]) == ("pc", "d-1", "127.0.0.1")
    assert order["payments"][0]["state"] == "accepted"
    assert order["payments"][0]["paid"] == {"minor": 990, "currency": "CNY"}


def test_the_notice_may_come_by_post(house: House) -> None:
    sku, _ = house.product(1)
    placed = house.placed(sku)
    house.pay(placed, notify=False)
    answer = house.api.post("/webhooks/epay", data=signed(fields(house, placed), house.merchant[1]))
    assert (answer.status_code, answer.text) == (200, "success")
    house.until(placed, "delivered")


def test_many_cards_in_one_order(house: House) -> None:
    sku, codes = house.product(60)
    other, more = house.product(2)
    items = [{"sku": sku, "quantity": 48}, {"sku": other, "quantity": 2}]
    placed = house.placed(sku, items=items)
    assert placed["amount"]["minor"] == 50 * 990
    house.pay(placed)
    house.until(placed, "delivered")
    got = house.cards(placed)
    assert len(set(got)) == 50
    assert set(got) <= set(codes) | set(more)
    problem(house.order(sku, 51), 422, "too_many_cards")


def test_products_are_cached_and_counted(house: House) -> None:
    sku, _ = house.product(3)
    first = house.api.get(f"/products/{sku}")
    shown = ok(first)
    assert shown["price"] == {"minor": 990, "currency": "CNY"}
    assert shown["stock"] == {"level": "low", "quantity": 3}
    again = house.api.get(f"/products/{sku}", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "max-age" in first.headers["cache-control"]
    assert sku in [product["sku"] for product in ok(house.api.get("/products"))["products"]]

    house.placed(sku, 3)

    def sold_out() -> bool:
        answer = house.api.get(f"/products/{sku}", headers={"If-None-Match": first.headers["etag"]})
        return answer.status_code == 200 and answer.json()["stock"] == {"level": "out_of_stock", "quantity": 0}

    wait_until(sold_out, lambda: house.api.get(f"/products/{sku}").text)
    problem(house.order(sku), 409, "out_of_stock")


def test_an_order_is_cached_by_its_version(house: House) -> None:
    sku, _ = house.product(1)
    placed = house.placed(sku)
    path = f"/orders/{placed['trade_id']}"
    first = house.api.get(path, headers=bearer(placed))
    known = {**bearer(placed), "If-None-Match": first.headers["etag"]}
    assert house.api.get(path, headers=known).status_code == 304
    house.pay(placed)
    house.until(placed, "delivered")
    changed = house.api.get(path, headers=known)
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]


def test_the_same_key_is_the_same_order(house: House) -> None:
    sku, _ = house.product(2)
    key = str(uuid.uuid4())
    first = ok(house.order(sku, key=key))
    again = house.order(sku, key=key)
    assert again.status_code == 201
    assert {**again.json(), "token": ""} == {**first, "token": ""}
    problem(house.order(sku, 2, key=key), 422, "idempotency_key_reused")
    house.placed(sku)
    assert house.order(sku, key=key).json()["trade_id"] == first["trade_id"], "though the stock is gone"


@pytest.mark.parametrize("key", [None, "", "short", "x" * 21, "x" * 65, "schön-" * 5])
def test_a_guessable_key_is_refused(house: House, key: str | None) -> None:
    headers = [] if key is None else [(b"Idempotency-Key", key.encode())]
    problem(house.api.post("/orders", headers=headers, json={}), 400, "invalid_idempotency_key")


_ITEM = {"sku": "x", "quantity": 1}
_ORDER: dict[str, Any] = {"items": [_ITEM], "channel": "epay", "terminal": "pc"}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "invalid_request"),
        (b"{", 400, "invalid_request"),
        (b"\xff\xfe", 400, "invalid_request"),
        (b"[]", 400, "invalid_request"),
        (b"null", 400, "invalid_request"),
        (b"[" * 60_000, 400, "invalid_request"),
        (b" " * 1_048_576, 413, "body_too_large"),
        ({}, 422, "unprocessable"),
        ({**_ORDER, "items": []}, 422, "unprocessable"),
        ({**_ORDER, "items": "x"}, 422, "unprocessable"),
        ({**_ORDER, "items": [_ITEM, _ITEM]}, 422, "unprocessable"),
        ({**_ORDER, "items": [{**_ITEM, "quantity": 0}]}, 422, "unprocessable"),
        ({**_ORDER, "items": [{**_ITEM, "quantity": -1}]}, 422, "unprocessable"),
        ({**_ORDER, "items": [{**_ITEM, "quantity": 10**9}]}, 422, "too_many_cards"),
        ({**_ORDER, "items": [{**_ITEM, "quantity": 1.5}]}, 422, "unprocessable"),
        ({**_ORDER, "items": [{**_ITEM, "quantity": True}]}, 422, "unprocessable"),
        ({**_ORDER, "items": [{**_ITEM, "quantity": "1"}]}, 422, "unprocessable"),
        ({**_ORDER, "items": [{"sku": "no#such", "quantity": 1}]}, 422, "unprocessable"),
        ({**_ORDER, "items": [{"sku": "nobody-sells-this", "quantity": 1}]}, 422, "unknown_product"),
        ({**_ORDER, "channel": "nobody"}, 422, "unknown_channel"),
        ({**_ORDER, "channel": 7}, 422, "unprocessable"),
        ({**_ORDER, "terminal": "fridge"}, 422, "unprocessable"),
        ({**_ORDER, "contact": {"email": "x"}}, 422, "unprocessable"),
        ({**_ORDER, "price": 1}, 422, "unprocessable"),
    ],
    ids=lambda each: re.sub(r"\s+", " ", repr(each))[:48] if not isinstance(each, int | str) else str(each),
)
def test_a_bad_order_is_refused_whole(house: House, body: Any, status: int, code: str) -> None:
    before = len(house.items("Orders"))
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = house.api.post("/orders", headers={"Idempotency-Key": str(uuid.uuid4())}, content=content)
    problem(answer, status, code)
    assert len(house.items("Orders")) == before


def test_only_its_holder_sees_an_order(house: House) -> None:
    sku, _ = house.product(2)
    mine, other = house.placed(sku), house.placed(sku)
    path = f"/orders/{mine['trade_id']}"
    good = jwt.decode(mine["token"], options={"verify_signature": False})
    kid = jwt.get_unverified_header(mine["token"])["kid"]
    head, claims, _ = mine["token"].split(".")
    bad = {
        "missing": None,
        "empty": "Bearer",
        "basic": "Basic eDp5",
        "junk": "Bearer junk",
        "forged": "Bearer " + jwt.encode(good, "x" * 64, algorithm="HS256", headers={"kid": kid}),
        "another kid": "Bearer " + jwt.encode(good, "x" * 64, algorithm="HS256", headers={"kid": "x"}),
        "alg none": "Bearer " + jwt.encode(good, "", algorithm="none", headers={"kid": kid}),
        "no signature": f"Bearer {head}.{claims}.",
        "operator": house.operator["Authorization"],
    }
    for method, where in (("GET", path), ("POST", f"{path}/cards")):
        for name, header in bad.items():
            answer = house.api.request(method, where, headers={"Authorization": header} if header else {})
            assert answer.status_code == 401, name
            problem(answer, 401, "unauthorized")
        problem(house.api.request(method, where, headers=bearer(other)), 404, "not_found")
    problem(house.api.get("/orders/" + "a" * 26, headers=bearer(mine)), 404, "not_found")


def test_an_expired_token_is_refused(house: House) -> None:
    sku, _ = house.product(1)
    placed = house.placed(sku)
    key = house.aws("secretsmanager").get_secret_value(SecretId=house.outputs["OrderTokenKey"])["SecretString"]
    claims = jwt.decode(placed["token"], key, algorithms=["HS256"], audience="order")
    stale = {**claims, "iat": claims["iat"] - 9999, "exp": claims["iat"] - 60}
    headers = {"kid": jwt.get_unverified_header(placed["token"])["kid"]}
    token = jwt.encode(stale, key, algorithm="HS256", headers=headers)
    answer = house.api.get(f"/orders/{placed['trade_id']}", headers={"Authorization": f"Bearer {token}"})
    problem(answer, 401, "unauthorized")


def test_operators_only(house: House) -> None:
    sku, _ = house.product(1)
    placed = house.placed(sku)
    for headers in ({}, bearer(placed), {"Authorization": "Bearer junk"}):
        for method, path in (
            ("PUT", f"/admin/products/{sku}"),
            ("POST", f"/admin/products/{sku}/cards"),
            ("PUT", "/admin/channels/x"),
        ):
            problem(house.api.request(method, path, headers=headers, content=b"{}"), 401, "unauthorized")


def test_a_hidden_product_is_not_sold(house: House) -> None:
    sku, _ = house.product(1)
    body = {"name": "x", "price": {"minor": 990, "currency": "CNY"}, "status": "hidden"}
    ok(house.api.put(f"/admin/products/{sku}", headers=house.operator, json=body))
    problem(house.api.get(f"/products/{sku}"), 404, "not_found")
    problem(house.order(sku), 422, "unknown_product")
    ok(house.api.put(f"/admin/products/{sku}", headers=house.operator, json={**body, "status": "on_sale"}))
    assert ok(house.api.get(f"/products/{sku}"))["stock"]["quantity"] == 1, "its stock is still there"


@pytest.mark.parametrize(
    "body",
    [
        {"name": "", "price": {"minor": 1, "currency": "CNY"}, "status": "on_sale"},
        {"name": "x", "price": {"minor": 0, "currency": "CNY"}, "status": "on_sale"},
        {"name": "x", "price": {"minor": 1.5, "currency": "CNY"}, "status": "on_sale"},
        {"name": "x", "price": {"minor": 1, "currency": "yuan"}, "status": "on_sale"},
        {"name": "x", "price": {"minor": 1, "currency": "CNY"}, "status": "sold"},
    ],
)
def test_a_bad_product_is_refused(house: House, body: dict[str, Any]) -> None:
    answer = house.api.put("/admin/products/never", headers=house.operator, json=body)
    problem(answer, 422, "unprocessable")
    problem(house.api.get("/products/never"), 404, "not_found")


def test_a_channels_secret_goes_in_and_never_out(house: House) -> None:
    settings = {"provider": "epay", "url": house.home.provider_url, "pid": "77", "key": "hush-hush"}
    saved = house.api.put("/admin/channels/spare", headers=house.operator, json=settings)
    assert ok(saved) == {
        "channel": "spare",
        "provider": "epay",
        "url": house.home.provider_url,
        "pid": "77",
        "type": "alipay",
    }
    for bad in ({"key": ""}, {"key": "  "}, {"pid": ""}, {"url": "ftp://x"}, {"type": "gold"}, {"more": "x"}):
        answer = house.api.put("/admin/channels/bad", headers=house.operator, json={**settings, **bad})
        problem(answer, 422, "unprocessable")
        assert next(iter(bad)) in answer.json()["detail"]
    answer = house.api.put("/admin/channels/bad", headers=house.operator, json={**settings, "provider": "nobody"})
    problem(answer, 422, "unprocessable")
    sku, _ = house.product(1)
    problem(house.order(sku, channel="bad"), 422, "unknown_channel")
    (parameter,) = house.aws("ssm").get_parameters(Names=[f"/{house.stack}/channels/spare"])["Parameters"]
    assert parameter["Type"] == "SecureString"
    assert "hush-hush" not in parameter["Value"]


def test_cards_are_imported_once(house: House) -> None:
    sku, codes = house.product(3)
    path = f"/admin/products/{sku}/cards"
    again = house.api.post(path, headers=house.operator, content="\n".join(codes))
    assert again.status_code == 200
    assert again.json()["imported"] == 3
    more = house.api.post(path, headers=house.operator, content=f"new-{sku}\r\n\r\n{codes[1]}\r\nnew-{sku}\r\n")
    assert more.status_code == 201
    assert (more.json()["imported"], more.json()["duplicates"]) == (1, [3, 4])
    assert ok(house.api.get(f"/products/{sku}"))["stock"]["quantity"] == 4
    problem(house.api.post(path, headers=house.operator, content=b""), 422, "nothing_to_import")
    problem(house.api.post(path, headers=house.operator, content=b"a\0b"), 422, "unprocessable")
    missing = house.api.post("/admin/products/never/cards", headers=house.operator, content=b"a")
    problem(missing, 404, "not_found")


def test_the_provider_sends_the_buyer_to_the_pages_and_its_notice_to_the_api(house: House) -> None:
    placed = house.placed(house.product(1)[0])
    told = parse_qs(urlsplit(placed["payment"]["redirect_url"]).query)
    assert told["return_url"] == [f"{house.outputs['PagesUrl']}/orders/{placed['trade_id']}"]
    assert told["notify_url"] == [f"{house.outputs['ApiUrl']}/webhooks/epay"]
