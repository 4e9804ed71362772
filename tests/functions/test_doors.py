"""What every function behind the gateway does alike: refuse what is no request, and say so as a problem."""

from __future__ import annotations

import itertools
import json

import pytest
from cardshop.adapters.aws import client

from tests.adapters.cloud import table_name
from tests.domain.builders import placed
from tests.functions.deployed import FUNCTIONS, REQUEST_ID, Deployed, Logs, module
from tests.functions.samples import Event, sample, with_body, with_header, with_json

#: Those that read JSON, with a call that each of them would accept.
JSON_CALLS = {
    "place_order": sample("place_order/one_card"),
    "reveal_cards": sample("reveal_cards/to_holder"),
    "pay_order": sample("pay_order/another_channel"),
    "cancel_order": sample("cancel_order/by_holder"),
    "confirm_receipt": sample("confirm_receipt/by_holder"),
    "lookup_order": sample("lookup_order/by_password"),
    "hand_off_order": sample("hand_off_order/taken_by_a_phone"),
    "manage_catalogue": sample("manage_catalogue/save_product"),
    "manage_channels": sample("manage_channels/epay"),
    "manage_batches": sample("manage_batches/withdraw"),
    "refund_payment": sample("refund_payment/through_provider"),
    "confirm_by_hand": sample("confirm_by_hand/seen_there"),
}
#: Those that a buyer or an operator calls.
CALLS = {
    "browse_products": sample("browse_products/all"),
    "view_order": sample("view_order/order"),
    "issue_ticket": sample("issue_ticket/to_holder"),
    "import_cards": sample("import_cards/file"),
    "inspect_trades": sample("inspect_trades/one_story"),
    "inspect_stock": sample("inspect_stock/one_product"),
    **JSON_CALLS,
}
BODIES = {
    "cut": (b"{", 400, "invalid_request"),
    "list": (b"[]", 400, "invalid_request"),
    "null": (b"null", 400, "invalid_request"),
    "not UTF-8": (b"\xff\xfe{}", 400, "invalid_request"),
    "nested": (b"[" * 60_000, 400, "invalid_request"),
    "huge number": (b'{"a": ' + b"9" * 5000 + b"}", 400, "invalid_request"),
    "1 MB": (b"{" + b" " * 1024 * 1024 + b"}", 413, "body_too_large"),
}


def authorized(shop: Deployed, function: str, event: Event) -> Event:
    if "OPERATOR-TOKEN" in event["headers"].get("Authorization", ""):
        return shop.as_operator(event)
    return shop.as_holder(event) if "Authorization" in event["headers"] else event


def test_a_body_that_is_no_json_object_is_refused(shop: Deployed, subtests: pytest.Subtests) -> None:
    for (name, (body, status, code)), (function, event) in itertools.product(BODIES.items(), JSON_CALLS.items()):
        with subtests.test(body=name, function=function):
            answer = shop.call(function, authorized(shop, function, with_body(event, body)))
            assert answer.is_problem(status, code)


def test_an_unknown_field_is_refused(shop: Deployed, subtests: pytest.Subtests) -> None:
    closed_to_others = JSON_CALLS.keys() - {"manage_channels"}  # whose fields are the provider's
    for name, function in itertools.product(("unknown", "不认识", "\ud800"), sorted(closed_to_others)):
        with subtests.test(name=ascii(name), function=function):
            event = authorized(shop, function, with_json(JSON_CALLS[function], **{name: 1}))
            assert shop.call(function, event).is_problem(422, "unprocessable")


def test_a_body_whose_encoding_is_broken_is_refused(shop: Deployed, subtests: pytest.Subtests) -> None:
    for function, event in JSON_CALLS.items():
        with subtests.test(function=function):
            broken = {**event, "body": "{not base64}", "isBase64Encoded": True}
            assert shop.call(function, authorized(shop, function, broken)).is_problem(400, "invalid_request")


def test_a_store_that_fails_is_told_to_try_again(shop: Deployed, logs: Logs, subtests: pytest.Subtests) -> None:
    for table in ("CatalogueTable", "OrdersTable", "AttemptsTable", "ConnectionsTable"):
        client("dynamodb").delete_table(TableName=table_name(table))
    for function, event in CALLS.items():
        with subtests.test(function=function):
            answer = shop.call(function, authorized(shop, function, event))
            assert answer.is_problem(503, "unavailable")
            assert answer.headers["Retry-After"] == "1"
            assert "ResourceNotFoundException" not in answer.text  # what failed is for the log
            assert "ResourceNotFoundException" in logs.new


def test_a_bug_is_told_without_detail(
    shop: Deployed, logs: Logs, subtests: pytest.Subtests, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object, **__: object) -> None:
        raise KeyError("a secret detail")

    catalogue = (f"tables.CatalogueItem.{each}" for each in ("get", "query", "update", "save"))
    others = ("tables.OrderItem.get", "tables.AttemptItem.get", "tables.ConnectionItem.query", "catalogue.connection")
    for name in (*catalogue, *others):
        monkeypatch.setattr(f"cardshop.adapters.{name}", bug)
    for function, event in CALLS.items():
        with subtests.test(function=function):
            answer = shop.call(function, authorized(shop, function, event))
            assert answer.is_problem(500, "internal_error")
            assert "secret detail" not in answer.text
            assert "KeyError" not in answer.text
            assert "KeyError" in logs.new


def test_a_path_that_is_not_there_is_not_found(shop: Deployed, subtests: pytest.Subtests) -> None:
    for function, event in CALLS.items():
        with subtests.test(function=function):
            lost = {**event, "path": "/nowhere/at/all", "httpMethod": "DELETE"}
            assert shop.call(function, lost).is_problem(404, "not_found")


def test_a_call_leaves_one_line_that_tells_how_it_ended(shop: Deployed, logs: Logs, subtests: pytest.Subtests) -> None:
    shop.order(placed())
    for function, event in CALLS.items():
        with subtests.test(function=function):
            answer = shop.call(function, authorized(shop, function, event))
            written = logs.new
            lines = [json.loads(line) for line in written.splitlines()]
            (line,) = [line for line in lines if line["message"] == "answered"]
            told = (line["status"], line["method"], line["resource"])
            assert told == (answer.status, event["httpMethod"], event["resource"])
            assert {line["function_request_id"] for line in lines} == {REQUEST_ID}
            assert "Bearer" not in written


def test_a_line_tells_nothing_of_the_call_before(shop: Deployed, logs: Logs) -> None:
    """A worker serves one caller after another."""
    shop.stock("CODE-1")
    assert "alice" in logs.new
    shop.call("import_cards", with_header(CALLS["import_cards"], "Authorization", None))
    assert "alice" not in logs.new


def test_every_handler_behind_the_gateway_is_tried_here() -> None:
    behind = {function for function in FUNCTIONS if hasattr(module(function), "door")}
    assert behind == {*CALLS, "receive_notice"}
