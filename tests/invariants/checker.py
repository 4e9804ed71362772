"""What must be true of a shop at rest, whatever happened to it: read its tables, queues and executions, and say."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from boto3.dynamodb.types import TypeDeserializer
from cardshop.domain.holding import HoldingState
from cardshop.domain.payment import FUNDING, UNDER_WAY, UNSETTLED, PaymentState, RefundState
from cardshop.domain.product import BatchStatus
from cardshop.domain.trade import HOLDS_CARDS, MACHINE_STATES, SETTLED_OR_MOVING, TRANSITIONS, UNPAID, Status

from tests.house import House, wait_until

_FINISHED = {Status.COMPLETED, Status.CLOSED, Status.REFUNDED}

#: The machine's states that wait on, until it is known whether the money goes.
_WAIT_WHILE_REFUNDING = {"AwaitStock", "AwaitReceipt"}


@dataclass
class Snapshot:
    """A shop as it lies there."""

    orders: list[dict[str, Any]]
    timeline: list[dict[str, Any]]
    pool: list[dict[str, Any]]
    sealed: list[dict[str, Any]]
    catalogue: list[dict[str, Any]]
    holdings: list[dict[str, Any]] = field(default_factory=list)
    running: dict[str, str] = field(default_factory=dict)  # trade id → the state its running execution is in
    queues: dict[str, int] = field(default_factory=dict)  # name → messages
    forgetful: bool = False  # the engine was stopped with stream records nobody had read: it forgets them, AWS does not


def read(house: House) -> Snapshot:
    plain = TypeDeserializer()

    def table(name: str) -> list[dict[str, Any]]:
        return [{key: plain.deserialize(value) for key, value in item.items()} for item in house.items(name)]

    sqs = house.aws("sqs")
    urls = sqs.list_queues(QueueNamePrefix=f"{house.stack}-")["QueueUrls"]
    return Snapshot(
        orders=table("Orders"),
        timeline=table("Timeline"),
        pool=table("Stock"),
        sealed=table("Sealed"),
        catalogue=table("Catalogue"),
        holdings=table("Holdings"),
        running=_running(house),
        queues={url.rsplit("/", 1)[1]: house.messages(url) for url in urls},
    )


def _running(house: House) -> dict[str, str]:
    states = house.aws("stepfunctions")
    found: dict[str, str] = {}
    pages = states.get_paginator("list_executions").paginate(
        stateMachineArn=house.outputs["StateMachineArn"], statusFilter="RUNNING"
    )
    for execution in (each for page in pages for each in page["executions"]):
        history = states.get_execution_history(executionArn=execution["executionArn"])["events"]
        trade_id = json.loads(history[0]["executionStartedEventDetails"]["input"])["trade_id"]
        entered = [
            event["stateEnteredEventDetails"]["name"] for event in history if "stateEnteredEventDetails" in event
        ]
        found[trade_id] = entered[-1] if entered else "(not begun)"
    return found


def violations(shop: Snapshot) -> list[str]:
    """Everything that is not as it must be; empty for a sound shop."""
    return [f"{check.__name__.strip('_')}: {what}" for check in _CHECKS for what in check(shop)]


def assert_sound(house: House, *, forgetful: bool = False) -> Snapshot:
    """The shop comes to rest, and is sound there: as it then was. Streams and queues may still be at work at first."""
    found: list[str] = []

    def sound() -> Snapshot | None:
        shop = read(house)
        shop.forgetful = forgetful
        found[:] = violations(shop)
        return None if found else shop

    shop = wait_until(sound, lambda: "\n  ".join([f"{len(found)} violations", *found[:20]]))
    assert shop is not None
    return shop


def _cards_are_in_one_place(shop: Snapshot) -> Iterator[str]:
    """In the pool, or on one order; a card of an unfinished import lies in a pool that is not on sale."""
    sealed = {item["id"]: item for item in shop.sealed if not item["id"].startswith("KEY#")}
    places: dict[str, list[str]] = defaultdict(list)
    for item in shop.pool:
        places[item["card_id"]].append(f"pool {item['pool']}")
    for order in shop.orders:
        for card in order["cards"]:
            places[card.rpartition("/")[2]].append(f"order {order['trade_id']}")
    for card_id, where in places.items():
        if card_id not in sealed:
            yield f"{card_id} ({', '.join(where)}) does not exist"
        if len(where) > 1:
            yield f"{card_id} is in {', '.join(where)}"
    for card_id in sealed.keys() - places.keys():
        yield f"{card_id} of {sealed[card_id]['sku']} is nowhere"


def _pools_hold_their_own(shop: Snapshot) -> Iterator[str]:
    sealed = {item["id"]: item for item in shop.sealed}
    batches = {(item["kind"].removeprefix("BATCH#"), item["name"]) for item in shop.catalogue if "#" in item["kind"]}
    for item in shop.pool:
        sku, batch, _ = item["pool"].split("#")
        card = sealed.get(item["card_id"])
        if card is not None and (card["sku"], card["batch"]) != (sku, batch):
            yield f"{item['card_id']} of {card['sku']} lies in the pool of {sku}"
        if (sku, batch) not in batches:
            yield f"pool {item['pool']} belongs to no batch"


def _sealed_cards_have_their_key(shop: Snapshot) -> Iterator[str]:
    keys = {item["id"] for item in shop.sealed if item["id"].startswith("KEY#")}
    for item in shop.sealed:
        if not item["id"].startswith("KEY#") and f"KEY#{item['key_id']}" not in keys:
            yield f"{item['id']} is sealed with a key that is gone"


def _orders_have_their_cards(shop: Snapshot) -> Iterator[str]:
    for order in shop.orders:
        status = Status(order["status"])
        wanted = Counter({line["sku"]: int(line["quantity"]) for line in order["lines"]})
        named = Counter(card.split("#")[0] for card in order["cards"])
        keeps = status in HOLDS_CARDS or order.get("refunding_from") in HOLDS_CARDS  # until its money has gone
        reads = status is Status.REFUNDED and "revealed_at" in order  # by now nobody's but the buyer's
        if (keeps or reads) and named != wanted:
            yield f"{order['trade_id']} ({status}) names {dict(named)} for {dict(wanted)}"
        if not (keeps or reads) and named:
            yield f"{order['trade_id']} is {status} and names {dict(named)}"
        if ("refunding_from" in order) != (status is Status.REFUNDING):
            yield f"{order['trade_id']} is {status} and goes back to {order.get('refunding_from')}"


def _judged(payment: dict[str, Any]) -> str:
    """What its money was to the order when it came."""
    return str(payment.get("was") or payment["state"])


def _refunds(payment: dict[str, Any], *states: RefundState) -> list[dict[str, Any]]:
    return [refund for refund in payment.get("refunds") or () if refund["state"] in states]


def _left(payment: dict[str, Any]) -> int:
    """Minor units that have neither gone back nor are about to."""
    if payment["state"] == PaymentState.CHARGED_BACK:
        return 0
    going = _refunds(payment, RefundState.DONE, *UNDER_WAY)
    return int(payment.get("paid_minor") or 0) - sum(int(refund["minor"]) for refund in going)


def _price(order: dict[str, Any]) -> list[dict[str, Any]]:
    """Payments whose money is the order's price, or was meant to be."""
    odd = {PaymentState.DUPLICATE, PaymentState.LATE}
    return [each for each in order["payments"] if "paid_minor" in each and _judged(each) not in odd]


def _money_has_a_state(shop: Snapshot) -> Iterator[str]:
    for order in shop.orders:
        status, price = Status(order["status"]), _price(order)
        paid_for = [payment for payment in price if _judged(payment) in FUNDING]
        there = any(_left(payment) for payment in price)
        taken_back = any(payment["state"] == PaymentState.CHARGED_BACK for payment in price)
        if any(_left(payment) for payment in paid_for) and status not in SETTLED_OR_MOVING:
            yield f"{order['trade_id']} is {status} with an accepted payment"
        if len(paid_for) > 1:
            yield f"{order['trade_id']} accepted {len(paid_for)} payments"
        given = status in {Status.PAID, Status.AWAITING_STOCK, Status.DELIVERED, Status.COMPLETED}
        if given and not (paid_for and (there or taken_back)):
            yield f"{order['trade_id']} is {status} and nobody paid"
        if status is Status.REFUNDING and there and not taken_back:
            yield f"{order['trade_id']} is refunding, and some of its price stays"
        yield from _amounts_are_judged_right(order, paid_for)


def _amounts_are_judged_right(order: dict[str, Any], paid_for: list[dict[str, Any]]) -> Iterator[str]:
    shorts = [payment for payment in order["payments"] if _judged(payment) == PaymentState.SHORT]
    if any(_refunds(payment, *RefundState) or payment["state"] == PaymentState.CHARGED_BACK for payment in shorts):
        return  # nobody can tell what was due when the rest came
    brought = sum(each["paid_minor"] for each in shorts if each.get("paid_currency") in {None, order["currency"]})
    for payment in paid_for:
        if payment["paid_minor"] + brought < order["minor"]:
            yield f"{order['trade_id']} accepted {payment['paid_minor']} for {order['minor']}"
        if (_judged(payment) == PaymentState.SURPLUS) != (payment["paid_minor"] + brought > order["minor"]):
            yield f"{order['trade_id']} says {_judged(payment)} of {payment['paid_minor']} for {payment['minor']}"


def _money_goes_back_once(shop: Snapshot) -> Iterator[str]:
    """No more than came, each refund by a number of its own, and the payment says what its refunds say."""
    for payment in (payment for order in shop.orders for payment in order["payments"]):
        name, state, gone = payment["id"], payment["state"], _refunds(payment, RefundState.DONE)
        to_go = _refunds(payment, *UNDER_WAY, RefundState.BY_HAND)
        if sum(int(refund["minor"]) for refund in (*gone, *to_go)) > int(payment.get("paid_minor") or 0):
            yield f"{name} brought {payment.get('paid_minor')}, and more goes back"
        if len({refund["id"] for refund in payment.get("refunds") or ()}) < len(payment.get("refunds") or ()):
            yield f"{name} has two refunds of one number"
        if state == PaymentState.CHARGED_BACK:
            continue
        if (state == PaymentState.REFUNDING) != bool(_refunds(payment, *UNDER_WAY)):
            yield f"{name} is {state}, its refunds are {[each['state'] for each in payment.get('refunds') or ()]}"
        if state == PaymentState.REFUNDED and "paid_minor" in payment and (_left(payment) or not gone):
            yield f"{name} is refunded, and {_left(payment)} of it are left"


def _timelines_have_no_gap(shop: Snapshot) -> Iterator[str]:
    entries: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
    for item in shop.timeline:
        if item["entry"].startswith("EVENT#"):
            entries[item["trade_id"]][int(item["entry"].removeprefix("EVENT#"))] = item
    orders = {order["trade_id"]: order for order in shop.orders}
    for trade_id in entries.keys() - orders.keys():
        yield f"{trade_id} has a timeline and no order"
    for trade_id, order in orders.items():
        known = entries[trade_id]
        if sorted(known) != list(range(1, int(order["version"]) + 1)):
            if shop.forgetful:
                continue
            yield f"{trade_id} is at version {order['version']}, its timeline has {sorted(known)}"
            continue
        before: Status | None = None
        for version in sorted(known):
            after = Status(known[version]["status"])
            if after is not before and after not in TRANSITIONS[before]:
                yield f"{trade_id} went from {before} to {after} at version {version}"
            before = after
        last = known[int(order["version"])]
        if (last["what"], last["status"]) != (order["change"]["what"], order["status"]):
            yield f"{trade_id} says {order['change']['what']}, its timeline says {last['what']}"


def _machine_agrees(shop: Snapshot) -> Iterator[str]:
    for order in shop.orders:
        status, state = Status(order["status"]), shop.running.get(order["trade_id"])
        if state is None and status not in _FINISHED | {Status.REFUNDING}:
            yield f"{order['trade_id']} is {status} and no execution drives it"
        waits_on = status is Status.REFUNDING and state in _WAIT_WHILE_REFUNDING
        if state is not None and status not in MACHINE_STATES.get(state, frozenset()) and not waits_on:
            yield f"{order['trade_id']} is {status}, its execution is in {state}"
        if state is not None and status is Status.PAID:
            yield f"{order['trade_id']} is paid and not delivered"
    for trade_id in shop.running.keys() - {order["trade_id"] for order in shop.orders}:
        yield f"an execution drives {trade_id}, which is no order"


def _holds_are_of_unpaid_orders(shop: Snapshot) -> Iterator[str]:
    for order in shop.orders:
        held = [name for name in order if name.startswith("hold_")]
        if held and order["status"] not in UNPAID:
            yield f"{order['trade_id']} is {order['status']} and still counts as {', '.join(held)}"


def _unfinished_trades_are_looked_at(shop: Snapshot) -> Iterator[str]:
    """By `reconcile`, which finds them over an index: nobody else would notice a lost notice or execution."""
    for order in shop.orders:
        status, trade_id = Status(order["status"]), order["trade_id"]
        unsettled = any(payment["state"] in UNSETTLED for payment in order["payments"])
        unfinished = any(_is_unfinished(order, payment) for payment in order["payments"])
        over = status in {Status.COMPLETED, Status.REFUNDED} and not (unsettled or unfinished)
        if over and order.get("due_at", 0) > order["change"]["at"]:  # once more after its last change is well
            yield f"{trade_id} is {status} and still to be looked at"
        if unfinished and "due_at" not in order:
            yield f"{trade_id} has money that is to go back, or to be decided on, and nobody will look at it"
        if status not in _FINISHED and ("due_at" not in order or order.get("due_shard") != trade_id[0]):
            yield f"{trade_id} is {status} and nobody will look at it"
        if ("lacking" in order) != (status is Status.AWAITING_STOCK):
            yield f"{trade_id} is {status} and lacks {order.get('lacking')}"


def _is_unfinished(order: dict[str, Any], payment: dict[str, Any]) -> bool:
    """Whether its money is still to go back, is on its way, or waits for an operator."""
    if payment["state"] == PaymentState.CHARGED_BACK:
        return bool(_refunds(payment, *UNDER_WAY))
    if _refunds(payment, *UNDER_WAY, RefundState.BY_HAND):
        return True
    if payment.get("kept") or not _left(payment):
        return False
    beside = _judged(payment) in {PaymentState.DUPLICATE, PaymentState.LATE}
    undecided = payment["state"] == PaymentState.SURPLUS and not _refunds(payment, RefundState.DONE)
    return beside or undecided or order["status"] in {Status.CLOSED, Status.REFUNDED}


def _stock_is_counted_right(shop: Snapshot) -> Iterator[str]:
    on_sale = {
        (item["kind"].removeprefix("BATCH#"), item["name"])
        for item in shop.catalogue
        if item["kind"].startswith("BATCH#") and item["status"] == BatchStatus.ON_SALE
    }
    true = Counter(item["pool"] for item in shop.pool if tuple(item["pool"].split("#")[:2]) in on_sale)
    listed = Counter(
        {
            f"{item['name']}#{batch}#{shard}": int(count)
            for item in shop.catalogue
            if item["kind"] == "PRODUCT"
            for batch, counts in item["batches"].items()
            for shard, count in enumerate(counts)
            if count
        }
    )
    for pool in true.keys() | listed.keys():
        if true[pool] != listed[pool]:
            yield f"pool {pool} holds {true[pool]}, the product lists {listed[pool]}"


def _ledger_says_whose_cards_are_whose(shop: Snapshot) -> Iterator[str]:
    """As the orders themselves do, and so every batch adds up."""
    true: dict[tuple[str, str], tuple[str, int]] = {}
    for order in shop.orders:
        unpaid = order["status"] in UNPAID
        state = HoldingState.HELD if unpaid else HoldingState.SOLD
        for batch, cards in Counter(card.rpartition("#")[0] for card in order["cards"]).items():
            true[order["trade_id"], batch] = (state, cards)
    noted = {
        (item["trade_id"], item["lane"].rpartition("#")[0]): (item["state"], int(item["cards"]))
        for item in shop.holdings
        if item["state"] != HoldingState.RELEASED
    }
    for key in true.keys() | noted.keys():
        if true.get(key) != noted.get(key):
            yield f"{key} is {true.get(key)}, the ledger says {noted.get(key)}"
    there = Counter("#".join(item["pool"].split("#")[:2]) for item in shop.pool)
    for (_, batch), (_, cards) in noted.items():
        there[batch] += cards
    for item in shop.catalogue:
        batch = f"{item['kind'].removeprefix('BATCH#')}#{item['name']}"
        if "status" in item and item["status"] != BatchStatus.IMPORTING and there[batch] != int(item["cards"]):
            yield f"{batch} had {item['cards']} cards and has {there[batch]}"


def _queues_are_empty(shop: Snapshot) -> Iterator[str]:
    for name, messages in shop.queues.items():
        if messages:
            yield f"{messages} in {name}"


_CHECKS: list[Callable[[Snapshot], Iterator[str]]] = [
    _cards_are_in_one_place,
    _pools_hold_their_own,
    _sealed_cards_have_their_key,
    _orders_have_their_cards,
    _money_has_a_state,
    _money_goes_back_once,
    _timelines_have_no_gap,
    _machine_agrees,
    _holds_are_of_unpaid_orders,
    _unfinished_trades_are_looked_at,
    _stock_is_counted_right,
    _ledger_says_whose_cards_are_whose,
    _queues_are_empty,
]
