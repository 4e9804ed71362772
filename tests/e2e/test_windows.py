"""What happens when nobody does anything, and when somebody does too much: windows and caps, on a hasty stack."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.house import House, ok, wait_until
from tests.invariants.checker import assert_sound


@pytest.fixture(autouse=True)
def sound_at_the_end(hasty: House) -> Iterator[None]:
    yield
    assert_sound(hasty)


def test_an_unpaid_order_is_closed_and_its_cards_are_sold_again(hasty: House) -> None:
    sku, codes = hasty.product(2)
    placed = hasty.placed(sku, 2)
    order = hasty.until(placed, "closed")
    assert [each["what"] for each in order["timeline"]] == ["pending_payment", "closed"]
    wait_until(
        lambda: ok(hasty.api.get(f"/products/{sku}"))["stock"]["quantity"] == 2,
        lambda: hasty.api.get(f"/products/{sku}").text,
    )
    again = hasty.placed(sku, 2)
    hasty.pay(again)
    hasty.until(again, "delivered", "completed")
    assert sorted(hasty.cards(again)) == sorted(codes)


def test_a_delivered_trade_completes_after_the_after_sale_window(hasty: House) -> None:
    sku, codes = hasty.product(1)
    placed = hasty.placed(sku)
    hasty.pay(placed)
    order = hasty.until(placed, "completed")
    assert [each["what"] for each in order["timeline"]] == ["pending_payment", "paid", "delivered", "completed"]
    assert hasty.cards(placed) == codes, "a completed trade's cards stay readable"


@pytest.mark.parametrize(("subject", "cap"), [("address", 3), ("device", 2), ("contact", 2)])
def test_unpaid_orders_are_capped(hasty: House, subject: str, cap: int) -> None:
    sku, _ = hasty.product(5)
    who: dict[str, dict[str, Any]] = {
        "device": {"device_id": uuid.uuid4().hex},
        "contact": {"contact": {"email": f"{sku}@example.com"}},
    }
    more = who.get(subject, {})
    wait_until(lambda: not _unpaid(hasty), lambda: "earlier tests' orders are still unpaid")
    key = str(uuid.uuid4())
    placed = [ok(hasty.order(sku, key=key, **more))] + [ok(hasty.order(sku, **more)) for _ in range(cap - 1)]
    refused = hasty.order(sku, **more)
    assert refused.status_code == 429
    assert refused.json()["code"] == "too_many_holds"
    assert 1 <= int(refused.headers["retry-after"]) <= 4
    replay = hasty.order(sku, key=key, **more)
    assert replay.status_code == 201, "asking again for an order one has is not one more"
    assert replay.json()["trade_id"] == placed[0]["trade_id"]
    hasty.pay(placed[0])
    hasty.until(placed[0], "delivered", "completed")
    assert hasty.order(sku, **more).status_code == 201, "a paid order is nobody's hold"


def _unpaid(house: House) -> bool:
    return any("hold_address" in item for item in house.items("Orders"))
