"""POST /orders/{trade_id}/handoffs and POST /handoffs: from one terminal to another, by a code that is good once."""

from __future__ import annotations

import time
from typing import Any

import pytest
from cardshop.adapters.aws import client
from cardshop.api import tokens

from tests.adapters.cloud import items, table_name
from tests.domain.builders import TRADE_ID, placed
from tests.functions.deployed import Answer, Deployed, Logs
from tests.functions.samples import sample, with_header, with_json

SHOW, TAKE = sample("hand_off_order/code_for_a_phone"), sample("hand_off_order/taken_by_a_phone")


def shown(shop: Deployed) -> Answer:
    return shop.call("hand_off_order", shop.as_holder(SHOW))


def taken(shop: Deployed, code: str, **more: Any) -> Answer:
    return shop.call("hand_off_order", with_json(TAKE, code=code, **more))


def test_an_order_goes_from_one_terminal_to_another(shop: Deployed) -> None:
    shop.order(placed())
    code = shown(shop)
    assert (code.status, code.headers["Cache-Control"]) == (201, "no-store")
    assert code.json.keys() == {"code", "expires_at"}
    answer = taken(shop, code.json["code"])
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    assert answer.json.keys() == {"trade_id", "token"}
    header = f"Bearer {answer.json['token']}"
    bearer = tokens.verify(shop.order_keys, header, audience="order")
    assert (bearer.subject, bearer.terminal, bearer.device) == (TRADE_ID, "mobile", "device-2")
    view = with_header(sample("view_order/order"), "Authorization", header)
    assert shop.call("view_order", view).json["trade_id"] == TRADE_ID


def test_the_session_handed_on_ends_no_later_than_its_givers(shop: Deployed) -> None:
    """Else a token that somebody stole could be made to last for ever."""
    answer = taken(shop, shown(shop).json["code"])  # the giver's has a minute
    bearer = tokens.verify(shop.order_keys, f"Bearer {answer.json['token']}", audience="order")
    assert bearer.until <= time.time() + 61


def test_a_code_is_good_once(shop: Deployed) -> None:
    code = shown(shop).json["code"]
    assert [taken(shop, code).status for _ in range(2)] == [200, 404]


def test_after_three_wrong_codes_the_next_waits_and_a_right_one_does_not(shop: Deployed) -> None:
    code = shown(shop).json["code"]
    for _ in range(3):
        assert taken(shop, "wrong").is_problem(404, "not_found")
    refused = taken(shop, "wrong")
    assert refused.is_problem(429, "too_many_attempts")
    assert refused.headers["Retry-After"] == "1"
    assert taken(shop, code).status == 200


def test_only_the_holder_hands_an_order_over(shop: Deployed) -> None:
    assert shop.call("hand_off_order", with_header(SHOW, "Authorization", None)).is_problem(401, "unauthorized")
    assert shop.call("hand_off_order", shop.as_holder(SHOW, "a" * 26)).is_problem(404, "not_found")
    assert items("AttemptsTable") == []


def test_neither_code_nor_address_is_kept_or_logged(shop: Deployed, logs: Logs) -> None:
    code = shown(shop).json["code"]
    kept = str(items("AttemptsTable"))
    taken(shop, "a-wrong-guess")
    taken(shop, code)
    everything = kept + str(items("AttemptsTable")) + logs.text
    for secret in (code, "a-wrong-guess", "203.0.113.7"):
        assert secret not in everything


@pytest.mark.parametrize(
    "wrong",
    [{"code": None}, {"code": ""}, {"code": 5}, {"code": "x" * 129}, {"terminal": None}, {"terminal": "fridge"}],
    ids=str,
)
def test_a_request_of_another_shape_is_refused_and_no_guess(shop: Deployed, wrong: dict[str, Any]) -> None:
    assert shop.call("hand_off_order", with_json(TAKE, **wrong)).is_problem(422, "unprocessable")
    assert items("AttemptsTable") == []


def test_no_order_is_handed_over_while_codes_cannot_be_kept(shop: Deployed) -> None:
    client("dynamodb").delete_table(TableName=table_name("AttemptsTable"))
    assert shown(shop).is_problem(503, "unavailable")
    assert taken(shop, "code").is_problem(503, "unavailable")
