"""POST /orders/{trade_id}/tickets and POST /admin/tickets."""

from __future__ import annotations

from datetime import datetime

import pytest
from cardshop.adapters.clock import clock
from cardshop.adapters.connections import DynamoConnections
from cardshop.domain.connection import SHOP_FEED, Ticket

from tests.adapters.cloud import items
from tests.domain.builders import TRADE_ID
from tests.functions.deployed import Deployed, Logs
from tests.functions.samples import sample, with_header, with_trade

TO_HOLDER, TO_OPERATOR = sample("issue_ticket/to_holder"), sample("issue_ticket/to_operator")


def test_the_holder_gets_a_ticket_for_the_order(shop: Deployed, logs: Logs) -> None:
    answer = shop.call("issue_ticket", shop.as_holder(TO_HOLDER))
    assert (answer.status, answer.headers["Cache-Control"]) == (201, "no-store")
    assert answer.json.keys() == {"ticket", "expires_at"}
    ticket = Ticket.parse(answer.json["ticket"])
    assert ticket is not None
    (place,) = DynamoConnections().of(TRADE_ID, clock())
    assert place.name == ticket.name
    left = datetime.fromisoformat(answer.json["expires_at"]).timestamp() - clock() / 1000
    assert 50 < left <= 60
    assert ticket.secret not in str(items("ConnectionsTable"))
    assert ticket.secret not in logs.text
    assert "203.0.113.7" not in str(items("ConnectionsTable"))


def test_an_operator_gets_one_for_the_shop(shop: Deployed, logs: Logs) -> None:
    answer = shop.call("issue_ticket", shop.as_operator(TO_OPERATOR))
    assert answer.status == 201
    (place,) = DynamoConnections().of(SHOP_FEED, clock())
    assert str(answer.json["ticket"]).startswith("shop.")
    assert not place.is_open
    assert any(line.get("operator") == "alice" for line in logs.lines), "who listened is on record"


@pytest.mark.parametrize("call", ["issue_ticket/to_holder", "view_order/order", "reveal_cards/to_holder"])
def test_a_ticket_is_no_token(shop: Deployed, call: str) -> None:
    """It has been through a URL: whoever finds it in some log reads nothing with it."""
    ticket = shop.call("issue_ticket", shop.as_holder(TO_HOLDER)).json["ticket"]
    event = with_header(sample(call), "Authorization", f"Bearer {ticket}")
    assert shop.call(call.partition("/")[0], event).is_problem(401, "unauthorized")


@pytest.mark.parametrize("event", [TO_HOLDER, TO_OPERATOR], ids=["order", "shop"])
def test_nobody_else_gets_one(shop: Deployed, event: dict[str, object]) -> None:
    as_other = shop.as_operator if event is TO_HOLDER else shop.as_holder
    for call in (event, as_other(event)):
        assert shop.call("issue_ticket", call).is_problem(401, "unauthorized")
    assert shop.call("issue_ticket", shop.as_holder(with_trade(TO_HOLDER, "a" * 26))).is_problem(404, "not_found")
    assert items("ConnectionsTable") == []


def test_an_order_that_has_its_connections_gets_no_more(shop: Deployed) -> None:
    for _ in range(3):
        assert shop.call("issue_ticket", shop.as_holder(TO_HOLDER)).status == 201
    answer = shop.call("issue_ticket", shop.as_holder(TO_HOLDER))
    assert answer.is_problem(429, "too_many_connections")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


def test_an_address_that_has_its_connections_gets_no_more(shop: Deployed) -> None:
    for letter in "abcde":
        call = shop.as_holder(with_trade(TO_HOLDER, letter * 26), letter * 26)
        assert shop.call("issue_ticket", call).status == 201
    assert shop.call("issue_ticket", shop.as_operator(TO_OPERATOR)).is_problem(429, "too_many_connections")
