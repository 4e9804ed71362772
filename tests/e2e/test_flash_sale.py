"""Four hundred buyers, thirty-two at a time, for two hundred cards of one product: over HTTP, to the last card read."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from tests.house import House
from tests.invariants.checker import assert_sound

BUYERS, CARDS, AT_ONCE = 400, 200, 32


def test_exactly_the_stock_is_sold(house: House) -> None:
    sku, codes = house.product(CARDS)

    def buy(_: int) -> str:
        answer = house.order(sku)
        if answer.status_code != 201:
            return str(answer.json()["code"])
        placed = answer.json()
        house.pay(placed)
        house.until(placed, "delivered")
        (code,) = house.cards(placed)
        return code

    with ThreadPoolExecutor(AT_ONCE) as threads:
        got = Counter(threads.map(buy, range(BUYERS)))
    assert got.pop("out_of_stock") == BUYERS - CARDS
    assert sorted(got) == sorted(codes), "every card, and nothing else"
    assert set(got.values()) == {1}, "each to one buyer"
    assert_sound(house)
    print(f"claim transactions per sale: {_claims(house, sku) / CARDS:.3f}")


def _claims(house: House, sku: str) -> int:
    """Claim transactions that this product's orders took, as place_order's log has them."""
    ours = {
        item["trade_id"]["S"]
        for item in house.items("Orders")
        if any(line["M"]["sku"]["S"] == sku for line in item["lines"]["L"])
    }
    pages = house.aws("logs").get_paginator("filter_log_events").paginate(logGroupName=f"/{house.stack}/place_order")
    lines = [line for page in pages for event in page["events"] for line in event["message"].splitlines()]
    placed = [json.loads(line) for line in lines if '"message":"placed"' in line]
    return sum(entry["claims"] for entry in placed if entry["trade_id"] in ours)
