"""The checker can fail: each kind of violation, planted in a sound shop's snapshot, is found by its check."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from tests.house import House, ok
from tests.invariants import checker
from tests.invariants.checker import Snapshot, assert_sound, violations


@pytest.fixture(scope="module")
def sound(house: House) -> Snapshot:
    """A shop with an order unpaid, one delivered, two refunded, one of them with its code read, and cards left."""
    sku, _ = house.product(8)
    unpaid = house.placed(sku, 2)
    delivered, unread, revealed = (house.placed(sku) for _ in range(3))
    for placed in (delivered, unread, revealed):
        house.pay(placed)
        house.until(placed, "delivered")
    house.cards(revealed)
    for placed in (unread, revealed):
        sent_back(house, placed)
        house.until(placed, "refunded")
    snapshot = assert_sound(house)  # one that was read again may be of a shop that moved meanwhile
    ours = {placed["trade_id"] for placed in (unpaid, delivered, unread, revealed)}
    snapshot.orders.sort(key=lambda order: order["trade_id"] not in ours)  # those that a violation is planted in
    assert ours == {order["trade_id"] for order in snapshot.orders[:4]}
    return snapshot


def sent_back(house: House, placed: dict[str, Any]) -> None:
    """By an operator's hands."""
    told = {"note": "sent in the merchant's console", "provider_ref": f"R-{placed['trade_id']}"}
    ok(house.api.post(f"/admin/orders/{placed['trade_id']}/refunds", headers=house.operator, json=told))


def _order(shop: Snapshot, status: str) -> dict[str, Any]:
    return next(order for order in shop.orders if order["status"] == status)


def _refund(state: str, minor: int = 990, number: str = "r01") -> dict[str, Any]:
    return {"id": number, "minor": minor, "currency": "CNY", "state": state, "by": "operator"}


def _with_refunds(shop: Snapshot, *refunds: dict[str, Any], state: str = "accepted") -> dict[str, Any]:
    """The delivered order, whose payment has these refunds."""
    order = _order(shop, "delivered")
    order["payments"][0].update(refunds=list(refunds), state=state)
    if state != "accepted":
        order["payments"][0]["was"] = "accepted"
    return order


def _refunding(shop: Snapshot) -> dict[str, Any]:
    """The delivered order as it is while its money goes back: nothing is wrong with that."""
    order = _with_refunds(shop, _refund("requested"), state="refunding")
    version = int(order["version"]) + 1
    order.update(status="refunding", refunding_from="delivered", version=version)
    order["change"]["what"] = "refunding"
    last = next(item for item in shop.timeline if item["trade_id"] == order["trade_id"])
    entry = {"entry": f"EVENT#{version:06d}", "what": "refunding", "status": "refunding"}
    shop.timeline.append({**last, **entry})
    return order


def _read(shop: Snapshot) -> dict[str, Any]:
    return next(order for order in shop.orders if order["status"] == "refunded" and order["cards"])


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


def _refunding_without_its_cards(shop: Snapshot) -> None:
    _refunding(shop)["cards"].clear()


def _refunding_from_nowhere(shop: Snapshot) -> None:
    del _refunding(shop)["refunding_from"]


def _refunding_from_closed_with_cards(shop: Snapshot) -> None:
    _refunding(shop)["refunding_from"] = "closed"


def _refunded_with_a_card_that_nobody_read(shop: Snapshot) -> None:
    del _read(shop)["revealed_at"]


def _read_and_not_its_buyers_any_more(shop: Snapshot) -> None:
    _read(shop)["cards"].clear()


def _refunded_with_cards_that_it_never_had(shop: Snapshot) -> None:
    _read(shop)["cards"] *= 2


def _was_refunding(shop: Snapshot) -> None:
    _order(shop, "delivered")["refunding_from"] = "delivered"


def _refunding_and_some_of_it_stays(shop: Snapshot) -> None:
    _refunding(shop)["payments"][0]["refunds"][0]["minor"] -= 1


def _delivered_and_all_of_it_gone(shop: Snapshot) -> None:
    _with_refunds(shop, _refund("done"), state="refunded")


def _accepted_and_closed(shop: Snapshot) -> None:
    order = _with_refunds(shop, _refund("done", 100))
    order.update(status="closed", cards=[])


def _more_back_than_came(shop: Snapshot) -> None:
    _with_refunds(shop, _refund("done", 500), _refund("requested", 500, "r02"), state="refunding")


def _more_by_hand_than_is_left(shop: Snapshot) -> None:
    _with_refunds(shop, _refund("done", 500), _refund("by_hand", 500, "r02"))


def _one_number_twice(shop: Snapshot) -> None:
    _with_refunds(shop, _refund("done", 100), _refund("done", 100))


def _refunding_by_nothing(shop: Snapshot) -> None:
    _with_refunds(shop, _refund("refused"), state="refunding")


def _a_refund_that_nobody_follows(shop: Snapshot) -> None:
    _with_refunds(shop, _refund("pending", 100))


def _refunded_and_some_of_it_left(shop: Snapshot) -> None:
    _read(shop)["payments"][0]["refunds"][0]["minor"] -= 1


def _refunded_and_driven(shop: Snapshot) -> None:
    shop.running[_read(shop)["trade_id"]] = "AwaitReceipt"


def _refunding_and_paid_for(shop: Snapshot) -> None:
    shop.running[_refunding(shop)["trade_id"]] = "AwaitPayment"


def _refunding_and_looked_at_by_nobody(shop: Snapshot) -> None:
    del _refunding(shop)["due_at"]


def _completed(shop: Snapshot) -> dict[str, Any]:
    order = _order(shop, "delivered")
    order["status"] = "completed"
    del order["due_at"]
    return order


def _a_duplicate_that_is_nobodys(shop: Snapshot) -> None:
    order = _completed(shop)
    order["payments"].append({**order["payments"][0], "id": "another", "state": "duplicate"})


def _a_surplus_that_nobody_decides_on(shop: Snapshot) -> None:
    _completed(shop)["payments"][0].update(state="surplus", paid_minor=1000)


def _a_task_that_nobody_sees(shop: Snapshot) -> None:
    _completed(shop)["payments"][0]["refunds"] = [_refund("by_hand", 100)]


def _money_left_of_a_refunded_order(shop: Snapshot) -> None:
    order = _read(shop)
    order.pop("due_at", None)
    order["payments"][0].update(state="accepted", refunds=[])


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
    sold = next(item for item in shop.holdings if item["state"] == "sold")
    shop.holdings.append({**sold, "trade_id": "a" * 26})


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
    (_refunding_without_its_cards, "orders_have_their_cards"),
    (_refunding_from_nowhere, "orders_have_their_cards"),
    (_refunding_from_closed_with_cards, "orders_have_their_cards"),
    (_refunded_with_a_card_that_nobody_read, "orders_have_their_cards"),
    (_read_and_not_its_buyers_any_more, "orders_have_their_cards"),
    (_refunded_with_cards_that_it_never_had, "orders_have_their_cards"),
    (_was_refunding, "orders_have_their_cards"),
    (_refunding_and_some_of_it_stays, "money_has_a_state"),
    (_delivered_and_all_of_it_gone, "money_has_a_state"),
    (_accepted_and_closed, "money_has_a_state"),
    (_more_back_than_came, "money_goes_back_once"),
    (_more_by_hand_than_is_left, "money_goes_back_once"),
    (_one_number_twice, "money_goes_back_once"),
    (_refunding_by_nothing, "money_goes_back_once"),
    (_a_refund_that_nobody_follows, "money_goes_back_once"),
    (_refunded_and_some_of_it_left, "money_goes_back_once"),
    (_refunded_and_driven, "machine_agrees"),
    (_refunding_and_paid_for, "machine_agrees"),
    (_refunding_and_looked_at_by_nobody, "unfinished_trades_are_looked_at"),
    (_a_duplicate_that_is_nobodys, "unfinished_trades_are_looked_at"),
    (_a_surplus_that_nobody_decides_on, "unfinished_trades_are_looked_at"),
    (_a_task_that_nobody_sees, "unfinished_trades_are_looked_at"),
    (_money_left_of_a_refunded_order, "unfinished_trades_are_looked_at"),
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


@pytest.mark.parametrize("state", ["AwaitReceipt", "AwaitStock", None])
def test_an_order_whose_money_goes_back_is_sound_whatever_waits_for_it(sound: Snapshot, state: str | None) -> None:
    shop = deepcopy(sound)
    trade_id = _refunding(shop)["trade_id"]
    shop.running.pop(trade_id)
    if state is not None:
        shop.running[trade_id] = state
    assert violations(shop) == []


def test_an_order_that_its_payer_contests_is_sound(sound: Snapshot) -> None:
    shop = deepcopy(sound)
    _order(shop, "delivered")["payments"][0].update(state="charged_back", was="accepted")
    assert violations(shop) == []


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
