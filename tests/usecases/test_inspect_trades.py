"""An operator's view: every trade under way is seen once, and a story is whole."""

from __future__ import annotations

import pytest
from cardshop.domain.errors import NotFound
from cardshop.domain.trade import Status
from cardshop.ports import Incident
from cardshop.usecases.inspect_trades import InspectTrades

from tests.domain.builders import NOW, PAYMENT_ID, TRADE_ID, delivered, paid, placed
from tests.usecases.fakes import Shop

IDS = [letter * 26 for letter in "abcdefg"]


@pytest.fixture
def inspect(shop: Shop) -> InspectTrades:
    return InspectTrades(shop.orders, shop.timeline)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("status", [None, Status.PAID, Status.DELIVERED])
def test_page_by_page_every_trade_under_way_is_seen_once(
    shop: Shop, inspect: InspectTrades, limit: int, status: Status | None
) -> None:
    for number, trade_id in enumerate(IDS):
        order = paid(placed(trade_id=trade_id))
        shop.orders.put(delivered(order).completed(NOW) if number == 3 else order)
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        found, after = inspect.under_way(limit, after or None, status)
        assert len(found) <= limit
        seen += [order.trade_id for order in found]
    under_way = [trade_id for trade_id in IDS if trade_id != IDS[3]]
    assert seen == ([] if status is Status.DELIVERED else under_way)


def test_a_trades_story_is_its_order_its_changes_and_what_a_person_should_see(
    shop: Shop, inspect: InspectTrades
) -> None:
    first = placed()
    order = shop.orders.put(paid(first))
    shop.timeline.append(TRADE_ID, [first.last_change])  # a moment behind
    incident = Incident(TRADE_ID, "wrong_amount", "epay", PAYMENT_ID, NOW, "digest", "1 CNY")
    shop.timeline.note(incident)
    shop.timeline.note(Incident(IDS[0], "denied", "epay", f"{IDS[0]}01", NOW, "digest", ""))
    assert inspect.story(TRADE_ID) == (order, [first.last_change, order.last_change], [incident])


def test_an_unknown_trade_is_not_found(inspect: InspectTrades) -> None:
    with pytest.raises(NotFound):
        inspect.story(TRADE_ID)
