"""Completion: of what was delivered, and of nothing else."""

from __future__ import annotations

import pytest
from cardshop.domain.errors import NotFound
from cardshop.domain.trade import Status
from cardshop.usecases.complete_trade import CompleteTrade

from tests.domain.builders import TRADE_ID, delivered, in_status
from tests.usecases.fakes import Shop


@pytest.fixture
def complete(shop: Shop) -> CompleteTrade:
    return CompleteTrade(shop.orders, shop.clock)


def test_a_delivered_order_is_completed_once(shop: Shop, complete: CompleteTrade) -> None:
    shop.orders.put(delivered())
    first = complete(TRADE_ID)
    assert (first.status, first.version) == (Status.COMPLETED, 4)
    assert complete(TRADE_ID) == first == shop.orders.by_id[TRADE_ID]


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.DELIVERED}))
def test_any_other_order_is_left_as_it_is(shop: Shop, complete: CompleteTrade, status: Status) -> None:
    stored = shop.orders.put(in_status(status))
    assert complete(TRADE_ID) == shop.orders.by_id[TRADE_ID] == stored


def test_an_unknown_trade_is_not_found(complete: CompleteTrade) -> None:
    with pytest.raises(NotFound):
        complete(TRADE_ID)
