"""What people do with the shop, each from a fresh one. A flow answers what its end must be; it bears every fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from faults.clock import DAY, HOUR, MINUTE, clock
from faults.people import Failure, Order, Shop
from faults.platform import Answer

CODES = [f"CODE-{number:04}" for number in range(3)]
_WINDOW = 30 * MINUTE

#: Order → the states it may end in.
Ends = list[tuple[Order, set[str]]]


@dataclass(frozen=True)
class Flow:
    name: str
    act: Callable[[Shop], Ends]
    stocked: bool = True  # whether there are cards when it begins
    parameters: dict[str, Any] = field(default_factory=dict)  # of the stack, other than its own


def _order(shop: Shop) -> Ends:
    """Placed twice by two buyers; nobody pays (yet)."""
    orders = [shop.order(), shop.order("epay", 2)]
    if {order.trade_id for order in orders} != {each["trade_id"] for each in shop.table("OrdersTable")}:
        raise Failure("other orders than those that were answered")
    return [(order, {"closed"}) for order in orders]


def _pay(shop: Shop) -> Ends:
    order = shop.order()
    shop.pays(order)
    shop.waits(order, "delivered", "completed")
    return [(order, {"completed"})]


def _pay_epay(shop: Shop) -> Ends:
    """Through a platform that is asked before anything is delivered."""
    order = shop.order("epay")
    shop.pays(order)
    shop.waits(order, "delivered", "completed")
    return [(order, {"completed"})]


def _reveal(shop: Shop) -> Ends:
    order = shop.order(quantity=2)
    shop.pays(order)
    shop.waits(order, "delivered", "completed")
    if len(shop.reads(order)) != 2:
        raise Failure("not as many codes as were paid for")
    shop.reads(order)
    return [(order, {"completed"})]


def _expire(shop: Shop) -> Ends:
    order = shop.order("epay")
    shop.platform.wait(_WINDOW)
    shop.waits(order, "closed")
    return [(order, {"closed"})]


def _cancel(shop: Shop) -> Ends:
    order = shop.order()
    shop.platform.wait(2)
    if shop.act(order, "/cancel").status != 200:
        raise Failure("an unpaid order cannot be cancelled")
    shop.waits(order, "closed")
    return [(order, {"closed"})]


def _confirm(shop: Shop) -> Ends:
    order = shop.order()
    shop.pays(order)
    shop.waits(order, "delivered")
    shop.reads(order)
    if shop.act(order, "/confirm").status != 200 or shop.stored(order)["status"] != "completed":
        raise Failure("a delivered order cannot be confirmed")
    return [(order, {"completed"})]


def _late(shop: Shop) -> Ends:
    """Paid when it is closed already; another has bought some of the cards."""
    order = shop.order("epay", 2)
    booth, payment = shop.page(order)
    shop.platform.wait(_WINDOW)
    shop.waits(order, "closed")
    if not booth.pay(payment):
        raise Failure("it cannot be paid any more")
    shop.waits(order, "delivered", "completed")
    return [(order, {"completed"})]


def _late_without_stock(shop: Shop) -> Ends:
    """Paid when it is closed and its cards are sold; new ones come half an hour later."""
    order = shop.order("epay", 2)
    booth, payment = shop.page(order)
    shop.platform.wait(_WINDOW)
    shop.waits(order, "closed")
    other = shop.order("epay", 2)
    shop.pays(other)
    shop.waits(other, "delivered")
    booth.pay(payment)
    shop.waits(order, "awaiting_stock")
    shop.imports("NEW-0001", "NEW-0002")
    shop.waits(order, "delivered", "completed")
    return [(order, {"completed"}), (other, {"completed"})]


def _twice(shop: Shop) -> Ends:
    """Two payments of one order, through two channels: the second goes back."""
    order = shop.order("epay")
    answer = shop.act(order, "/payments", {"channel": "stripe"})
    if answer.status != 201:
        raise Failure(f"no second payment: {answer.text}")
    second = Order(order.trade_id, order.token, "stripe", answer.json["payment"])
    shop.pays(order)
    shop.pays(second)
    shop.waits(order, "delivered", "completed")
    return [(order, {"completed"})]


def _done(answer: Answer) -> None:
    """What an operator asked for."""
    if answer.status != 200:
        raise Failure(answer.text)


def _refund(shop: Shop) -> Ends:
    """All of it, before the codes were read: the cards are for sale again."""
    order = shop.order()
    shop.pays(order)
    shop.waits(order, "delivered")
    body = {"note": "the buyer's wish"}
    _done(shop.manages("POST", f"/orders/{order.trade_id}/refunds", body, "refund-key-1"))
    shop.waits(order, "refunded")
    return [(order, {"refunded"})]


def _refund_epay(shop: Shop) -> Ends:
    """Codes that were read stay with the buyer; the platform knows no number of ours."""
    order = shop.order("epay")
    shop.pays(order)
    shop.waits(order, "delivered")
    shop.reads(order)
    _done(shop.manages("POST", f"/orders/{order.trade_id}/refunds", {"note": "a bad code"}, "refund-key-1"))
    shop.waits(order, "refunded")
    return [(order, {"refunded"})]


def _refund_by_hand(shop: Shop) -> Ends:
    """The channel cannot; an operator sends it, and says so."""
    order = shop.order("epay-by-hand")
    shop.pays(order)
    shop.waits(order, "delivered")
    shop.manages("POST", f"/orders/{order.trade_id}/refunds", {"note": "a bad code"}, "refund-key-1")
    booth, payment = shop.page(order)
    booth.refund(payment, "by-hand", payment.received)
    told = {"note": "sent from the wallet", "provider_ref": "wallet-1"}
    _done(shop.manages("POST", f"/orders/{order.trade_id}/refunds", told))
    shop.waits(order, "refunded")
    return [(order, {"refunded"})]


def _refund_undone(shop: Shop) -> Ends:
    """It was done, and comes back to the provider a day later: an operator sends it by hand."""
    order = shop.order()
    shop.pays(order)
    shop.waits(order, "delivered")
    _done(shop.manages("POST", f"/orders/{order.trade_id}/refunds", {"note": "a bad code"}, "refund-key-1"))
    shop.waits(order, "refunded")
    shop.platform.wait(DAY)
    shop.providers.set_their_clock()
    shop.platform.set_clocks()
    booth, payment = shop.page(order)
    (refund,) = payment.refunds.values()
    refund.status, payment.status = "refused", "paid"
    booth.tell(payment, "refund_refused", refund)
    shop.waits_for(lambda: shop.refunds(order) == ["by_hand"], "the operator hears nothing of it")
    shop.platform.wait(6 * HOUR)  # what the provider could not tell before, it has told again by then
    if shop.refunds(order) != ["by_hand"]:
        raise Failure("money that came back is taken for gone")
    booth.refund(payment, "by-hand", payment.received)
    told = {"note": "sent from the wallet", "provider_ref": "wallet-1"}
    _done(shop.manages("POST", f"/orders/{order.trade_id}/refunds", told))
    return [(order, {"refunded"})]


def _partial(shop: Shop) -> Ends:
    """Two parts of it go back, one after the other: what is left is kept."""
    order = shop.order(quantity=2)
    shop.pays(order)
    shop.waits(order, "delivered")
    for number in (1, 2):
        body = {"note": "a part", "amount": {"minor": 400, "currency": "CNY"}}
        _done(shop.manages("POST", f"/orders/{order.trade_id}/refunds", body, f"refund-key-{number}"))
    shop.kept[order.trade_id] = 2 * 990 - 800
    return [(order, {"completed"})]


def _fill(shop: Shop) -> Ends:
    """Its batch is withdrawn while it is being paid, so that it waits; an import brings others."""
    order = shop.order()
    (batch,) = {each["name"] for each in shop.table("CatalogueTable") if each["kind"].startswith("BATCH#")}
    shop.moves(batch, "withdrawn")
    shop.pays(order)
    shop.waits(order, "awaiting_stock")
    shop.imports("NEW-0001", "NEW-0002")
    shop.waits(order, "delivered", "completed")
    return [(order, {"completed"})]


def _patience(shop: Shop) -> Ends:
    """Its batch is withdrawn, and nothing comes: the money goes back."""
    order = shop.order()
    (batch,) = {each["name"] for each in shop.table("CatalogueTable") if each["kind"].startswith("BATCH#")}
    shop.moves(batch, "withdrawn")
    shop.pays(order)
    shop.waits(order, "awaiting_stock")
    shop.waits(order, "refunded", patience=5 * HOUR)
    return [(order, {"refunded"})]


def _import(shop: Shop) -> Ends:
    """Two files with one card in common, and somebody who buys."""
    shop.imports(*CODES)
    shop.imports(CODES[0], "NEW-0001")
    order = shop.order(quantity=4)
    shop.pays(order)
    shop.waits(order, "delivered", "completed")
    if set(shop.reads(order)) != {*CODES, "NEW-0001"}:
        raise Failure("other codes than were loaded")
    return [(order, {"completed"})]


def _withdraw(shop: Shop) -> Ends:
    """Off sale and on sale again, around somebody's order."""
    order = shop.order(quantity=2)
    (batch,) = {each["name"] for each in shop.table("CatalogueTable") if each["kind"].startswith("BATCH#")}
    shop.moves(batch, "withdrawn")
    if shop.act(order, "/cancel").status != 200:
        raise Failure("an unpaid order cannot be cancelled")
    shop.waits(order, "closed")
    shop.moves(batch, "on_sale")
    shop.platform.wait(HOUR)
    again = shop.order(quantity=3)
    return [(order, {"closed"}), (again, {"closed"})]


def _reconcile(shop: Shop) -> Ends:
    """Paid, and no notice of it ever comes."""
    orders = [shop.order("epay"), shop.order("stripe")]
    for order in orders:
        shop.pays(order, notify=False)
    for order in orders:
        shop.waits(order, "delivered", "completed")
    return [(order, {"completed"}) for order in orders]


def _last_minute(shop: Shop) -> Ends:
    """Paid two minutes before its window ends, and no notice comes in time: whoever closes it has to ask first."""
    placed = clock.seconds
    order = shop.order("epay")
    booth, payment = shop.page(order)
    ends = min(float(shop.stored(order)["expires_at"]) / 1000, placed + _WINDOW)  # by its own clock, by the machine's
    shop.platform.wait(ends - clock.seconds - 2 * MINUTE)
    booth.pay(payment, notify=False)
    shop.waits(order, "delivered", "completed")
    if any(each.get("status") == "closed" for each in shop.table("TimelineTable")):
        raise Failure("a paid order was closed")
    return [(order, {"completed"})]


def _rush(shop: Shop) -> Ends:
    """Two buyers want more cards than there are, the second while the first is being served."""
    placed: list[Order | None] = []
    shop.platform.at(0.03, lambda: placed.append(shop.tries_to_order("epay", 2)))
    placed.append(shop.tries_to_order("stripe", 2))
    shop.platform.wait(HOUR / 6)
    orders = [order for order in placed if order is not None]
    if len(placed) != 2 or len(orders) != 1:
        raise Failure(f"{len(orders)} of {len(placed)} orders for two of three cards")
    shop.pays(orders[0])
    shop.waits(orders[0], "delivered", "completed")
    shop.reads(orders[0])
    return [(orders[0], {"completed"})]


def _by_hand(shop: Shop) -> Ends:
    """An operator has seen the money at the provider; its own notice comes after all."""
    order = shop.order("epay")
    shop.pays(order, notify=False)
    booth, payment = shop.page(order)
    told = {"note": "seen in the wallet", "provider_ref": payment.reference}
    _done(shop.manages("POST", f"/orders/{order.trade_id}/confirm-payment", told))
    shop.waits(order, "delivered", "completed")
    booth.tell(payment, "paid")
    return [(order, {"completed"})]


def _audit(shop: Shop) -> Ends:
    """While an order is held and another is sold."""
    held, sold = shop.order("epay"), shop.order("epay")
    shop.pays(sold)
    shop.waits(sold, "delivered")
    shop.platform.invoke("audit_stock", {})
    return [(held, {"closed"}), (sold, {"completed"})]


def _listen(shop: Shop) -> Ends:
    """Two terminals and the shop's own board hear of every change; one leaves before the order is paid."""
    order = shop.order()
    stays, leaves, board = shop.listens(order), shop.listens(order), shop.listens(order, "shop")
    shop.platform.wait(MINUTE)  # no handshake takes so long
    leaves.leaves()
    shop.pays(order)
    shop.waits(order, "delivered", "completed")
    shop.platform.wait(20 * MINUTE)
    shop.act(order, "/confirm")
    shop.waits(order, "completed")
    for each in (stays, board):
        each.hears()
    shop.forgets(stays, board)
    return [(order, {"completed"})]


def _hand_off(shop: Shop) -> Ends:
    """Ordered here, paid and read there."""
    order = shop.order()
    there = shop.hands_over(order)
    shop.pays(there)
    shop.waits(there, "delivered", "completed")
    shop.reads(there)
    shop.reads(order)
    return [(order, {"completed"})]


FLOWS = {
    flow.name: flow
    for flow in (
        Flow("order", _order),
        Flow("pay", _pay),
        Flow("pay-epay", _pay_epay),
        Flow("reveal", _reveal),
        Flow("expire", _expire),
        Flow("cancel", _cancel),
        Flow("confirm", _confirm),
        Flow("late", _late),
        Flow("late-no-stock", _late_without_stock),
        Flow("twice", _twice),
        Flow("refund", _refund),
        Flow("refund-epay", _refund_epay),
        Flow("refund-by-hand", _refund_by_hand),
        Flow("refund-undone", _refund_undone),
        Flow("refund-parts", _partial),
        Flow("fill", _fill),
        Flow("patience", _patience, parameters={"StockPatienceSeconds": 3600}),
        Flow("import", _import, stocked=False),
        Flow("withdraw", _withdraw),
        Flow("reconcile", _reconcile),
        Flow("last-minute", _last_minute),
        Flow("rush", _rush),
        Flow("by-hand", _by_hand),
        Flow("audit", _audit),
        Flow("listen", _listen),
        Flow("hand-off", _hand_off),
    )
}
