"""The checker can fail: each kind of violation, planted in a sound shop's snapshot, is found by its check."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from tests.house import House
from tests.invariants import checker
from tests.invariants.checker import Snapshot, assert_sound, read, violations


@pytest.fixture(scope="module")
def sound(house: House) -> Snapshot:
    """A shop with an order unpaid, one delivered and one completed-by-nobody yet, and cards left."""
    sku, _ = house.product(6)
    unpaid = house.placed(sku, 2)
    delivered = house.placed(sku)
    house.pay(delivered)
    house.until(delivered, "delivered")
    assert_sound(house)
    snapshot = read(house)
    ours = {unpaid["trade_id"], delivered["trade_id"]}
    assert ours <= {order["trade_id"] for order in snapshot.orders}
    return snapshot


def _order(shop: Snapshot, status: str) -> dict[str, Any]:
    return next(order for order in shop.orders if order["status"] == status)


def _card_twice_in_pool(shop: Snapshot) -> None:
    shop.pool.append({**shop.pool[0], "place": "0"})


def _card_on_two_orders(shop: Snapshot) -> None:
    _order(shop, "pending_payment")["cards"][0] = _order(shop, "delivered")["cards"][0]


def _card_sold_and_in_pool(shop: Snapshot) -> None:
    pool, _, card_id = _order(shop, "delivered")["cards"][0].rpartition("/")
    shop.pool.append({"pool": pool, "place": "0", "card_id": card_id})


def _card_lost(shop: Snapshot) -> None:
    shop.pool.pop()


def _card_that_never_was(shop: Snapshot) -> None:
    _order(shop, "delivered")["cards"][0] = "a#b#0/nobody"


def _card_in_a_strange_pool(shop: Snapshot) -> None:
    shop.pool[0]["pool"] = "another#batch#0"


def _key_lost(shop: Snapshot) -> None:
    shop.sealed[:] = [item for item in shop.sealed if not item["id"].startswith("KEY#")]


def _too_few_cards(shop: Snapshot) -> None:
    _order(shop, "delivered")["cards"].clear()


def _paid_and_closed(shop: Snapshot) -> None:
    _order(shop, "delivered")["status"] = "closed"


def _delivered_unpaid(shop: Snapshot) -> None:
    _order(shop, "delivered")["payments"][0]["state"] = "open"


def _delivered_for_too_little(shop: Snapshot) -> None:
    _order(shop, "delivered")["payments"][0]["paid_minor"] = 1


def _waits_with_cards(shop: Snapshot) -> None:
    _order(shop, "delivered")["status"] = "awaiting_stock"


def _paid_twice(shop: Snapshot) -> None:
    payments = _order(shop, "delivered")["payments"]
    payments.append({**payments[0], "id": "another"})


def _surplus_unsaid(shop: Snapshot) -> None:
    _order(shop, "delivered")["payments"][0]["paid_minor"] += 1


def _surplus_that_is_none(shop: Snapshot) -> None:
    _order(shop, "delivered")["payments"][0]["state"] = "surplus"


def _version_gap(shop: Snapshot) -> None:
    shop.timeline.remove(next(item for item in shop.timeline if item["entry"] == "EVENT#000002"))


def _forbidden_step(shop: Snapshot) -> None:
    next(item for item in shop.timeline if item["entry"] == "EVENT#000002")["status"] = "completed"


def _timeline_of_nothing(shop: Snapshot) -> None:
    shop.orders.remove(_order(shop, "delivered"))


def _nobody_drives(shop: Snapshot) -> None:
    del shop.running[_order(shop, "pending_payment")["trade_id"]]


def _driven_elsewhere(shop: Snapshot) -> None:
    shop.running[_order(shop, "delivered")["trade_id"]] = "AwaitPayment"


def _stuck_at_paid(shop: Snapshot) -> None:
    order = _order(shop, "delivered")
    order["status"] = "paid"
    shop.running[order["trade_id"]] = "DeliverCards"


def _hold_left_behind(shop: Snapshot) -> None:
    _order(shop, "delivered")["hold_address"] = "x"


def _looked_at_by_nobody(shop: Snapshot) -> None:
    del _order(shop, "pending_payment")["due_at"]


def _looked_at_in_another_shard(shop: Snapshot) -> None:
    _order(shop, "delivered")["due_shard"] = "0"


def _looked_at_for_ever(shop: Snapshot) -> None:
    _order(shop, "delivered")["status"] = "completed"


def _lacking_left_behind(shop: Snapshot) -> None:
    order = _order(shop, "delivered")
    order["lacking"] = order["lines"][0]["sku"]


def _waits_for_nothing(shop: Snapshot) -> None:
    order = _order(shop, "delivered")
    order["status"] = "awaiting_stock"
    order["cards"].clear()


def _held_by_nobody_says_the_ledger(shop: Snapshot) -> None:
    trade_id = _order(shop, "pending_payment")["trade_id"]
    shop.holdings[:] = [item for item in shop.holdings if item["trade_id"] != trade_id]


def _sold_to_nobody_says_the_ledger(shop: Snapshot) -> None:
    shop.holdings.append({**shop.holdings[0], "trade_id": "a" * 26})


def _still_held_says_the_ledger(shop: Snapshot) -> None:
    trade_id = _order(shop, "delivered")["trade_id"]
    next(item for item in shop.holdings if item["trade_id"] == trade_id)["state"] = "held"


def _batch_that_does_not_add_up(shop: Snapshot) -> None:
    next(item for item in shop.catalogue if item["kind"].startswith("BATCH#"))["cards"] += 1


def _wrong_count(shop: Snapshot) -> None:
    product = next(item for item in shop.catalogue if item["kind"] == "PRODUCT" and item["batches"])
    next(iter(product["batches"].values()))[0] += 1


def _dead_letter(shop: Snapshot) -> None:
    shop.queues["some-dead-letters"] = 1


_PLANTED: list[tuple[Callable[[Snapshot], None], str]] = [
    (_card_twice_in_pool, "cards_are_in_one_place"),
    (_card_on_two_orders, "cards_are_in_one_place"),
    (_card_sold_and_in_pool, "cards_are_in_one_place"),
    (_card_lost, "cards_are_in_one_place"),
    (_card_that_never_was, "cards_are_in_one_place"),
    (_card_in_a_strange_pool, "pools_hold_their_own"),
    (_key_lost, "sealed_cards_have_their_key"),
    (_too_few_cards, "orders_have_their_cards"),
    (_paid_and_closed, "orders_have_their_cards"),
    (_paid_and_closed, "money_has_a_state"),
    (_delivered_unpaid, "money_has_a_state"),
    (_delivered_for_too_little, "money_has_a_state"),
    (_waits_with_cards, "orders_have_their_cards"),
    (_paid_twice, "money_has_a_state"),
    (_surplus_unsaid, "money_has_a_state"),
    (_surplus_that_is_none, "money_has_a_state"),
    (_version_gap, "timelines_have_no_gap"),
    (_forbidden_step, "timelines_have_no_gap"),
    (_timeline_of_nothing, "timelines_have_no_gap"),
    (_nobody_drives, "machine_agrees"),
    (_driven_elsewhere, "machine_agrees"),
    (_stuck_at_paid, "machine_agrees"),
    (_hold_left_behind, "holds_are_of_unpaid_orders"),
    (_looked_at_by_nobody, "unfinished_trades_are_looked_at"),
    (_looked_at_in_another_shard, "unfinished_trades_are_looked_at"),
    (_looked_at_for_ever, "unfinished_trades_are_looked_at"),
    (_lacking_left_behind, "unfinished_trades_are_looked_at"),
    (_waits_for_nothing, "unfinished_trades_are_looked_at"),
    (_held_by_nobody_says_the_ledger, "ledger_says_whose_cards_are_whose"),
    (_sold_to_nobody_says_the_ledger, "ledger_says_whose_cards_are_whose"),
    (_still_held_says_the_ledger, "ledger_says_whose_cards_are_whose"),
    (_batch_that_does_not_add_up, "ledger_says_whose_cards_are_whose"),
    (_wrong_count, "stock_is_counted_right"),
    (_dead_letter, "queues_are_empty"),
]


@pytest.mark.parametrize(("plant", "check"), _PLANTED, ids=[f"{plant.__name__}-{check}" for plant, check in _PLANTED])
def test_a_planted_violation_is_found(sound: Snapshot, plant: Callable[[Snapshot], None], check: str) -> None:
    shop = deepcopy(sound)
    plant(shop)
    assert any(what.startswith(f"{check}: ") for what in violations(shop)), violations(shop)


def test_a_gap_in_a_story_is_excused_where_the_engine_forgot_its_streams_and_nothing_else_is(sound: Snapshot) -> None:
    shop = deepcopy(sound)
    shop.forgetful = True
    _version_gap(shop)
    assert violations(shop) == []
    _hold_left_behind(shop)
    assert [what.partition(":")[0] for what in violations(shop)] == ["holds_are_of_unpaid_orders"]


def test_every_check_is_seen_to_fail() -> None:
    planted = {check for _, check in _PLANTED}
    assert planted == {check.__name__.strip("_") for check in checker._CHECKS}
