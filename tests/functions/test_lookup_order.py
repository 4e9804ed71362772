"""POST /orders/lookup: whoever knows the password gets in, and whoever guesses learns nothing and waits ever longer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cardshop.adapters.aws import client
from cardshop.api import tokens
from cardshop.domain import passwords

from tests.adapters.cloud import items, table_name
from tests.domain.builders import TRADE_ID, placed
from tests.functions.deployed import Answer, Deployed, Logs
from tests.functions.samples import sample, with_header, with_json

LOOKUP = sample("lookup_order/by_password")
PASSWORD = "correct horse"
RECORD = passwords.record(PASSWORD)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets so many seconds pass; else no time does."""
    now = [1_763_800_000_000]
    monkeypatch.setattr("time.time_ns", lambda: now[0] * 1_000_000)

    def passes(seconds: float) -> None:
        now[0] += int(seconds * 1000)

    return passes


@pytest.fixture(autouse=True)
def order(shop: Deployed) -> None:
    shop.order(replace(placed(), password=RECORD))


def lookup(shop: Deployed, password: str = PASSWORD, trade_id: str = TRADE_ID) -> Answer:
    return shop.call("lookup_order", with_json(LOOKUP, query_password=password, trade_id=trade_id))


def test_who_knows_the_password_gets_a_token_for_the_order(shop: Deployed) -> None:
    answer = shop.call("lookup_order", LOOKUP)
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    assert answer.json.keys() == {"trade_id", "status", "token"}
    assert (answer.json["trade_id"], answer.json["status"]) == (TRADE_ID, "pending_payment")
    header = f"Bearer {answer.json['token']}"
    bearer = tokens.verify(shop.order_keys, header, audience="order")
    assert (bearer.subject, bearer.terminal, bearer.device) == (TRADE_ID, "mobile", "device-2")
    view = with_header(sample("view_order/order"), "Authorization", header)
    assert shop.call("view_order", view).json["trade_id"] == TRADE_ID


#: What somebody who does not know may ask.
GUESSES: dict[str, dict[str, Any]] = {
    "a wrong password": {"query_password": "wrong"},
    "almost the password": {"query_password": "correct horse "},
    "a very long password": {"query_password": "x" * 5000},
    "an order without a password": {"trade_id": "b" * 26},
    "an order that is not there": {"trade_id": "a" * 26},
    "no trade id at all": {"trade_id": "1"},
    "a trade id in capitals": {"trade_id": TRADE_ID.upper()},
    "a long trade id": {"trade_id": "a" * 128},
    "another script": {"trade_id": "订单", "query_password": "密码"},
    "a key of another table": {"trade_id": "KEY#1"},
}


def test_every_guess_is_answered_alike_and_costs_alike(
    shop: Deployed, subtests: pytest.Subtests, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One scrypt, one answer: neither says whether there is such an order, or a password on it."""
    shop.order(placed(trade_id="b" * 26, held=()))
    derived: list[int] = []
    scrypt = hashlib.scrypt

    def counted(password: bytes, **cost: Any) -> bytes:
        derived.append(len(password))
        return scrypt(password, **cost)

    monkeypatch.setattr("hashlib.scrypt", counted)
    answers = set()
    for name, guess in GUESSES.items():
        with subtests.test(name):
            derived.clear()
            answer = shop.call("lookup_order", with_json(LOOKUP, **guess))
            assert answer.is_problem(401, "wrong_credentials")
            assert derived == [32], "a password of any length is as long as its digest"
            answers.add((answer.text, tuple(sorted(answer.headers.items()))))
            client("dynamodb").delete_item(  # so that each is a first guess
                TableName=table_name("AttemptsTable"), Key={"subject": items("AttemptsTable")[0]["subject"]}
            )
    assert len(answers) == 1


def test_after_three_tries_each_waits_twice_as_long_as_the_one_before(
    shop: Deployed, time: Callable[[float], None]
) -> None:
    assert [lookup(shop, "wrong").status for _ in range(3)] == [401, 401, 401]
    for wait in (1, 2, 4, 8, 16):
        refused = lookup(shop)
        assert refused.is_problem(429, "too_many_attempts")
        assert refused.headers["Retry-After"] == str(wait)
        time(wait - 0.001)
        assert lookup(shop).status == 429, "not even the password is tried before"
        time(0.001)
        assert lookup(shop, "wrong").status == 401
    time(32)
    assert lookup(shop).status == 200


def test_the_wait_ends_growing_at_a_quarter_of_an_hour(shop: Deployed, time: Callable[[float], None]) -> None:
    for _ in range(16):
        lookup(shop, "wrong")
        time(900)
    lookup(shop, "wrong")
    assert lookup(shop).headers["Retry-After"] == "900"
    time(900)
    assert lookup(shop).status == 200


def test_a_success_is_the_end_of_waiting(shop: Deployed, time: Callable[[float], None]) -> None:
    for _ in range(2):
        assert [lookup(shop, "wrong").status for _ in range(2)] == [401, 401]
        assert lookup(shop).status == 200
    assert [lookup(shop, "wrong").status for _ in range(4)] == [401, 401, 401, 429]


@pytest.mark.parametrize("trade_id", ["a" * 26, "1"], ids=["an unknown order", "no trade id at all"])
def test_an_order_that_is_not_there_waits_like_one_that_is(
    shop: Deployed, time: Callable[[float], None], trade_id: str
) -> None:
    """Else the wait would tell which orders there are."""
    assert [lookup(shop, trade_id=trade_id).status for _ in range(4)] == [401, 401, 401, 429]


def test_nobody_waits_for_what_was_tried_at_another_order(shop: Deployed, time: Callable[[float], None]) -> None:
    for _ in range(4):
        lookup(shop, trade_id="a" * 26)
    assert lookup(shop).status == 200


def test_who_holds_the_token_is_never_locked_out(shop: Deployed, time: Callable[[float], None]) -> None:
    for _ in range(4):
        lookup(shop, "wrong")
    assert lookup(shop).status == 429
    assert shop.call("view_order", shop.as_holder(sample("view_order/order"))).status == 200


def test_neither_password_nor_guess_is_kept_or_logged(
    shop: Deployed, logs: Logs, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor is what was guessed at: the tries are counted under a digest."""
    lookup(shop, "hunter2", "d" * 26)
    assert "d" * 26 not in str(items("AttemptsTable"))
    lookup(shop, "hunter2")
    lookup(shop)
    captured = capsys.readouterr()
    everything = logs.text + captured.out + captured.err + str(items("AttemptsTable")) + str(items("OrdersTable"))
    assert "hunter2" not in everything
    assert PASSWORD not in everything


WRONG: list[dict[str, Any]] = [
    *[{"trade_id": trade_id} for trade_id in (None, "", 5, "x" * 129)],
    *[{"query_password": password} for password in (None, "", 5, ["x"])],
    {"terminal": "fridge"},
    {"device_id": ""},
    {"email": "buyer@example.com"},
]


def test_a_request_of_another_shape_is_refused_and_no_try(shop: Deployed, subtests: pytest.Subtests) -> None:
    for wrong in WRONG:
        with subtests.test(wrong=wrong):
            answer = shop.call("lookup_order", with_json(LOOKUP, **wrong))
            assert answer.is_problem(422, "unprocessable")
            assert answer.json["detail"].startswith(next(iter(wrong)))
    assert items("AttemptsTable") == []


def test_nobody_gets_in_while_tries_cannot_be_counted(shop: Deployed) -> None:
    client("dynamodb").delete_table(TableName=table_name("AttemptsTable"))
    assert lookup(shop).is_problem(503, "unavailable")
