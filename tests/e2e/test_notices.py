"""Notices: repeated, forged, irregular, denied and unknown, on the deployed stack."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.e2e.notices import Said, alarmed, fields, incidents, pairs, send, signed, storm
from tests.house import House, wait_until
from tests.invariants.checker import assert_sound


@pytest.fixture(autouse=True)
def sound_at_the_end(house: House) -> Iterator[None]:
    yield
    assert_sound(house)


def test_the_same_notice_twenty_times_at_once_for_sixty_orders(house: House) -> None:
    sku, codes = house.product(60)
    orders = [house.placed(sku) for _ in range(60)]
    for placed in orders:
        house.pay(placed, notify=False)
    key = house.merchant[1]
    answers = [answer for placed in orders for answer in storm(house, signed(fields(house, placed), key), 20)]
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, "success")}
    for placed in orders:
        house.until(placed, "delivered")
    after = [send(house, signed(fields(house, placed), key)) for placed in orders]
    assert {answer.text for answer in after} == {"success"}
    wait_until(lambda: house.messages(house.outputs["NoticesQueue"]) == 0, lambda: "the notices queue is not empty")
    for placed in orders:
        order = house.view(placed)
        assert (order["status"], order["version"]) == ("delivered", 3), "one payment, one delivery"
    got = [code for placed in orders for code in house.cards(placed)]
    assert sorted(got) == sorted(codes)


def _forgeries(genuine: dict[str, str], key: str) -> dict[str, Said]:
    good = signed(genuine, key)
    replayed = {**genuine, "notify_url": "https://shop.example/n", "return_url": "https://shop.example/r"}
    return {
        "wrong key": signed(genuine, "not-the-key"),
        "empty key": signed(genuine, ""),
        "changed amount": {**good, "money": "0.01"},
        "changed order": {**good, "out_trade_no": "x" * 28},
        "no sign": {**genuine, "sign_type": "MD5"},
        "empty sign": {**good, "sign": ""},
        "sign twice": [*good.items(), ("sign", good["sign"])],
        "money twice": [*good.items(), ("money", "0.01")],
        "upper-case sign": {**good, "sign": good["sign"].upper()},
        "strange sign": {**good, "sign": "签名" * 16},
        "a request's signature": signed(replayed, key),
        "notify_url inside": signed({**genuine, "notify_url": "https://shop.example/n"}, key),
        "return_url inside": signed({**genuine, "return_url": "https://shop.example/r"}, key),
        "nothing": {},
    }


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_forged_notice_is_refused_and_not_queued(house: House, method: str) -> None:
    sku, _ = house.product(1)
    placed = house.placed(sku)
    house.pay(placed, notify=False)
    for name, said in _forgeries(fields(house, placed), house.merchant[1]).items():
        if method == "GET":
            answer = send(house, said)
        else:
            text = str(httpx.QueryParams(pairs(said)))
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = house.api.post("/webhooks/epay", content=text, headers=kind)
        assert 400 <= answer.status_code < 500, name
        assert answer.text == "fail", name
        assert house.messages(house.outputs["NoticesQueue"]) == 0, name
    assert house.view(placed)["status"] == "pending_payment"
    assert send(house, fields(house, placed), channel="nobody").text == "fail"
    assert incidents(house, placed) == []


def _wait_for_alarm(house: House, placed: dict[str, Any], since: float) -> None:
    wait_until(lambda: alarmed(house, "IrregularNotices", placed["trade_id"], since), lambda: "no alarm metric")


def _wait_for_incident(house: House, placed: dict[str, Any], kind: str) -> None:
    wait_until(lambda: incidents(house, placed) == [kind], lambda: f"{kind}: {incidents(house, placed)}")


def test_a_notice_that_does_not_fit_is_recorded_and_a_later_genuine_one_delivers(house: House) -> None:
    _, key = house.merchant
    house.channel("other", key="another-key", pid="2002")
    sku, _ = house.product(4)
    cases: dict[str, tuple[dict[str, Any], dict[str, str], str]] = {}
    for kind in ("wrong_account", "wrong_channel", "wrong_amount"):
        placed = house.placed(sku)
        house.pay(placed, notify=False)
        said = fields(house, placed)
        if kind == "wrong_account":
            cases[kind] = placed, signed({**said, "pid": "9999"}, key), "epay"
        elif kind == "wrong_channel":
            cases[kind] = placed, signed({**said, "pid": "2002"}, "another-key"), "other"
        else:
            cases[kind] = placed, signed({**said, "money": "0.01"}, key), "epay"
    for kind, (placed, said, channel) in cases.items():
        since = time.time()
        answer = send(house, said, channel=channel)
        assert (answer.status_code, answer.text) == (200, "success"), kind
        _wait_for_incident(house, placed, kind)
        _wait_for_alarm(house, placed, since)
        order = house.view(placed)
        assert (order["status"], order["version"], order["payments"][0]["state"]) == ("pending_payment", 1, "open")
        assert send(house, signed(fields(house, placed), key)).text == "success"
        house.until(placed, "delivered")


def test_too_little_money_is_short_and_not_delivered(house: House) -> None:
    sku, _ = house.product(1)
    placed = house.placed(sku)
    house.pay(placed, notify=False)
    payment = placed["payment"]["payment_id"]
    httpx.post(f"{house.home.provider_url}/_control/payments/{payment}", json={"money": "0.01"}).raise_for_status()
    since = time.time()
    assert send(house, signed(fields(house, placed, money="0.01"), house.merchant[1])).text == "success"
    wait_until(lambda: house.view(placed)["payments"][0]["state"] == "short", lambda: str(house.view(placed)))
    order = house.view(placed)
    assert order["status"] == "pending_payment"
    assert order["payments"][0]["paid"] == {"minor": 1, "currency": "CNY"}
    _wait_for_alarm(house, placed, since)


def test_a_signed_notice_that_the_provider_denies_is_dropped(house: House) -> None:
    sku, _ = house.product(1)
    placed = house.placed(sku)
    said = signed(fields(house, placed), house.merchant[1])
    httpx.get(placed["payment"]["redirect_url"]).raise_for_status()  # the provider knows the payment, unpaid
    assert send(house, said).text == "success"
    _wait_for_incident(house, placed, "denied")
    wait_until(lambda: house.messages(house.outputs["NoticesQueue"]) == 0, lambda: "it is tried for ever")
    assert house.messages(house.outputs["NoticesDeadLetters"]) == 0
    order = house.view(placed)
    assert (order["status"], order["version"]) == ("pending_payment", 1)
    house.pay(placed)
    house.until(placed, "delivered")


def test_an_unknown_payment_becomes_a_dead_letter(house: House) -> None:
    nobody: dict[str, Any] = {
        "payment": {"payment_id": "a" * 26 + "01"},
        "amount": {"minor": 990},
        "trade_id": "a" * 26,
    }
    answer = send(house, signed(fields(house, nobody), house.merchant[1]))
    assert (answer.status_code, answer.text) == (200, "success")
    dead = house.outputs["NoticesDeadLetters"]
    wait_until(lambda: house.messages(dead) == 1, lambda: "no dead letter", patience=120)
    sqs = house.aws("sqs")
    (message,) = sqs.receive_message(QueueUrl=dead)["Messages"]
    assert nobody["payment"]["payment_id"] in message["Body"]
    sqs.delete_message(QueueUrl=dead, ReceiptHandle=message["ReceiptHandle"])


def test_a_notice_that_is_not_about_success_changes_nothing(house: House) -> None:
    sku, _ = house.product(1)
    placed = house.placed(sku)
    said = signed(fields(house, placed, trade_status="WAIT_BUYER_PAY"), house.merchant[1])
    assert send(house, said).text == "success"
    assert house.messages(house.outputs["NoticesQueue"]) == 0
    assert house.view(placed)["version"] == 1


def test_some_platforms_escape_the_separators(house: House) -> None:
    sku, _ = house.product(2)
    for separator in ("&amp;", ";"):
        placed = house.placed(sku)
        house.pay(placed, notify=False)
        said = signed(fields(house, placed), house.merchant[1])
        text = separator.join(f"{name}={value}" for name, value in said.items())
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        assert house.api.post("/webhooks/epay", content=text, headers=kind).text == "success"
        house.until(placed, "delivered")


def test_a_storm_of_orders_is_paid_beside_itself(house: House) -> None:
    """Many buyers pay at once, each notice comes from the provider itself."""
    sku, codes = house.product(24)

    def buy(_: int) -> list[str]:
        placed = house.placed(sku)
        house.pay(placed)
        house.until(placed, "delivered")
        return house.cards(placed)

    with ThreadPoolExecutor(8) as threads:
        got = [code for codes in threads.map(buy, range(24)) for code in codes]
    assert sorted(got) == sorted(codes)
