"""Orders in DynamoDB: every change is one conditional write that names the version before."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, cast

from pynamodb.exceptions import TransactWriteError, UpdateError
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from cardshop.adapters.tables import (
    CHANGE,
    CONDITION_FAILED,
    NOTE,
    ChangeMap,
    LineMap,
    OrderItem,
    PaymentMap,
    PoolItem,
    RefundMap,
    connection,
    overtaken,
    reasons,
    store,
)
from cardshop.domain.card import Card, Pool
from cardshop.domain.errors import Changed
from cardshop.domain.money import Money
from cardshop.domain.order import SHOP, Actor, Change, Line, Order
from cardshop.domain.payment import Payment, PaymentState, Refund, RefundState
from cardshop.domain.trade import UNPAID, Status
from cardshop.ports import CardTaken, OrderExists

_INDEXES = {"address": OrderItem.by_address, "device": OrderItem.by_device, "contact": OrderItem.by_contact}


#: An index partition a first character of a trade id: a throttled index would throttle its table.
_DUE_SHARDS = "abcdefghijklmnopqrstuvwxyz234567"


class DynamoOrders:
    """`ports.Orders`."""

    def find(self, trade_id: str) -> Order | None:
        with store():
            try:
                item = OrderItem.get(trade_id, consistent_read=True)
            except OrderItem.DoesNotExist:
                return None
        return _order(item)

    def place(self, order: Order, holds: Mapping[str, str]) -> None:
        item = OrderItem(
            order.trade_id,
            lines=[
                LineMap(sku=line.sku, name=line.name, quantity=line.quantity, price=line.price.minor)
                for line in order.lines
            ],
            currency=order.amount.currency,
            minor=order.amount.minor,
            terminal=order.terminal,
            created_at=order.created_at,
            expires_at=order.expires_at,
            fingerprint=order.fingerprint,
            email=order.email,
            password=order.password,
            hold_address=holds.get("address"),
            hold_device=holds.get("device"),
            hold_contact=holds.get("contact"),
            due_shard=_due_shard(order) if order.due_at is not None else None,
            due_at=order.due_at,
            **_changing(order),
        )
        with store():
            try:
                with TransactWrite(connection=connection(), client_request_token=str(uuid.uuid4())) as write:
                    for card in order.cards:
                        write.delete(PoolItem(card.pool.key, card.place), condition=PoolItem.card_id == card.card_id)
                    write.save(item, condition=OrderItem.trade_id.does_not_exist())
            except TransactWriteError as error:
                why = reasons(error)
                if not why:
                    raise
                if why[-1] == CONDITION_FAILED:
                    raise OrderExists from error
                if CONDITION_FAILED in why:
                    raise CardTaken from error
                raise Changed("another transaction held one of the items") from error

    def record(self, before: Order, after: Order) -> Order:
        returned = [card.returned() for card in before.cards if card not in after.cards]
        claimed = [card for card in after.cards if card not in before.cards]
        with store():
            if returned or claimed:
                self._record_with_cards(before, after, returned, claimed)
                return self.find(before.trade_id) or after
            item = OrderItem(before.trade_id)
            try:
                item.update(_actions(before, after), condition=_unchanged(before))  # answers ALL_NEW
            except UpdateError as error:
                if overtaken(error):
                    raise Changed from error
                raise
        return _order(item)

    @staticmethod
    def _record_with_cards(before: Order, after: Order, returned: list[Card], claimed: list[Card]) -> None:
        try:
            with TransactWrite(connection=connection(), client_request_token=str(uuid.uuid4())) as write:
                for card in claimed:
                    write.delete(PoolItem(card.pool.key, card.place), condition=PoolItem.card_id == card.card_id)
                for card in returned:
                    write.save(PoolItem(card.pool.key, card.place, card_id=card.card_id))
                write.update(OrderItem(before.trade_id), _actions(before, after), condition=_unchanged(before))
        except TransactWriteError as error:
            why = reasons(error)
            if not why:
                raise
            if CONDITION_FAILED in why[:-1] and why[-1] != CONDITION_FAILED:
                raise CardTaken from error
            raise Changed from error

    def holds(self, subject: str, value: str, limit: int) -> list[int]:
        with store():
            found = _INDEXES[subject].query(value, limit=limit, page_size=limit)
            return [int(item.expires_at) for item in found]

    def note(self, order: Order) -> None:
        with store():
            try:
                noted = [*_beside(order), OrderItem.last_write.set(NOTE)]
                OrderItem(order.trade_id).update(noted, condition=_unchanged(order))
            except UpdateError as error:
                if not overtaken(error):  # whoever changed it noted what is so now
                    raise

    def note_session(self, order: Order, payment: Payment) -> None:
        index = next(n for n, each in enumerate(order.payments) if each.payment_id == payment.payment_id)
        with store():
            there = OrderItem.payments[index]
            OrderItem(order.trade_id).update(
                [there["session_ref"].set(payment.session_ref), OrderItem.last_write.set(NOTE)],
                condition=there["payment_id"] == payment.payment_id,
            )

    def due(self, until: int) -> Iterator[str]:
        first = random.randrange(len(_DUE_SHARDS))  # a run that ends early begins elsewhere the next time
        for shard in _DUE_SHARDS[first:] + _DUE_SHARDS[:first]:
            with store():
                yield from (str(item.trade_id) for item in OrderItem.due.query(shard, OrderItem.due_at <= until))

    def awaiting(self, sku: str) -> Iterator[str]:
        with store():
            yield from (str(item.trade_id) for item in OrderItem.awaiting.query(sku))

    def under_way(self, limit: int, after: str | None) -> tuple[list[Order], str | None]:
        """Shard by shard, each by when it is due. `after` is the last one's time and trade id."""
        due_at, _, last = (after or "").partition(".")
        entries: list[OrderItem] = []
        with store():
            for shard in _DUE_SHARDS[_DUE_SHARDS.index(last[0]) if last else 0 :]:
                start = None
                if last and shard == last[0]:
                    start = {"due_shard": {"S": shard}, "due_at": {"N": due_at}, "trade_id": {"S": last}}
                room = limit - len(entries)
                entries += OrderItem.due.query(shard, limit=room, page_size=room, last_evaluated_key=start)
                if len(entries) >= limit:
                    break
            found = {item.trade_id: _order(item) for item in OrderItem.batch_get([each.trade_id for each in entries])}
        more = f"{int(entries[-1].due_at)}.{entries[-1].trade_id}" if len(entries) >= limit else None
        return [found[each.trade_id] for each in entries if each.trade_id in found], more


def _unchanged(before: Order) -> Any:
    return (OrderItem.version == before.version) & (OrderItem.status == before.status.value)


def _actions(before: Order, after: Order) -> list[Action]:
    actions: list[Action] = []
    changed = _changing(after)
    if after.cards == before.cards:
        del changed["cards"]
    del changed["payments"]
    actions += [getattr(OrderItem, name).set(value) for name, value in changed.items()]
    actions += _paying(before, after)
    for name in ("after_sale_until", "revealed_at", "refunding_from"):
        if getattr(after, name) != getattr(before, name):
            actions.append(_set_or_remove(getattr(OrderItem, name), getattr(after, name)))
    if before.status in UNPAID and after.status not in UNPAID:
        actions += [OrderItem.hold_address.remove(), OrderItem.hold_device.remove(), OrderItem.hold_contact.remove()]
    if (after.due_at, after.lacking) != (before.due_at, before.lacking):
        actions += _beside(after)
    if _by_machine(before, after):
        actions.append(OrderItem.task_token.remove())
    return actions


def _beside(order: Order) -> list[Action]:
    """What the indexes over trades under way are made of."""
    beside: list[tuple[Any, object]] = [
        (OrderItem.due_shard, None if order.due_at is None else _due_shard(order)),
        (OrderItem.due_at, order.due_at),
        (OrderItem.lacking, order.lacking),
    ]
    return [_set_or_remove(attribute, value) for attribute, value in beside]


def _paying(before: Order, after: Order) -> list[Action]:
    """What has changed of each payment, by itself: a session may be noted at the same time, of this one or another."""
    actions: list[Action] = []
    for number, payment in enumerate(after.payments):
        if number >= len(before.payments):
            actions.append(OrderItem.payments.set(OrderItem.payments.append([_payment_map(payment)])))
            continue
        was, there = _settling(before.payments[number]), OrderItem.payments[number]
        for name, value in _settling(payment).items():
            if value != was[name]:
                stored = [_refund_map(each) for each in value] if name == "refunds" and value else value
                actions.append(_set_or_remove(there[name], stored))
    return actions


def _settling(payment: Payment) -> dict[str, Any]:
    """What changes of a payment once it is open, but for its session."""
    return {
        "state": payment.state.value,
        "paid_minor": payment.paid.minor if payment.paid else None,
        "paid_currency": payment.paid.currency if payment.paid else None,
        "provider_ref": payment.provider_ref,
        "was": payment.was.value if payment.was else None,
        "refunds": payment.refunds or None,
        "kept": payment.kept or None,
        "won": list(payment.won) or None,
    }


def _set_or_remove(attribute: Any, value: object) -> Action:
    return cast(Action, attribute.remove() if value is None else attribute.set(value))


def _due_shard(order: Order) -> str:
    return order.trade_id[0]


def _by_machine(before: Order, after: Order) -> bool:
    """Whether the machine itself moves on, so that its token is spent.

    Who moves a trade on from outside (a payment, a buyer, stock that has come) wakes the machine with the token, and
    again if the first try was lost: there it stays until the machine writes the next one, or the next state. At its
    end a trade keeps it: `reconcile` ends trades too, and a machine may have begun to wait just before it did.
    """
    if after.status is before.status or after.last_change.actor.by != SHOP.by:
        return False
    if after.status in {Status.REFUNDING, Status.CLOSED, Status.COMPLETED}:
        return False
    return before.status not in {Status.AWAITING_STOCK, Status.REFUNDING}


def _changing(order: Order) -> dict[str, Any]:
    change = order.last_change
    return {
        "status": order.status.value,
        "version": order.version,
        "last_write": CHANGE,
        "cards": [f"{card.pool.key}/{card.card_id}" for card in order.cards],
        "payments": [_payment_map(payment) for payment in order.payments],
        "change": ChangeMap(
            what=change.what,
            at=change.at,
            by=change.actor.by,
            terminal=change.actor.terminal,
            device=change.actor.device,
            address=change.actor.address,
        ),
    }


def _payment_map(payment: Payment) -> PaymentMap:
    settling = {**_settling(payment), "refunds": [_refund_map(refund) for refund in payment.refunds] or None}
    return PaymentMap(
        payment_id=payment.payment_id,
        channel=payment.channel,
        minor=payment.amount.minor,
        session_ref=payment.session_ref,
        way=payment.way,
        **settling,
    )


def _refund_map(refund: Refund) -> RefundMap:
    return RefundMap(
        refund_id=refund.refund_id,
        minor=refund.amount.minor,
        currency=refund.amount.currency,
        state=refund.state.value,
        by=refund.by,
        provider_ref=refund.provider_ref,
        key=refund.key,
    )


def _order(item: OrderItem) -> Order:
    currency = item.currency
    status = Status(item.status)
    version = int(item.version)
    return Order(
        trade_id=item.trade_id,
        status=status,
        version=version,
        lines=tuple(
            Line(line.sku, line.name, int(line.quantity), Money(int(line.price), currency)) for line in item.lines
        ),
        amount=Money(int(item.minor), currency),
        cards=tuple(_card(str(name)) for name in item.cards),
        payments=tuple(_payment(payment, currency) for payment in item.payments),
        terminal=item.terminal,
        created_at=int(item.created_at),
        expires_at=int(item.expires_at),
        fingerprint=item.fingerprint,
        last_change=change_of(item),
        due_at=_whole(item.due_at),
        lacking=item.lacking,
        after_sale_until=_whole(item.after_sale_until),
        revealed_at=_whole(item.revealed_at),
        refunding_from=Status(item.refunding_from) if item.refunding_from else None,
        email=item.email,
        password=item.password,
        task_token=item.task_token,
    )


def order_of(image: dict[str, Any]) -> Order:
    """The order that a stream's image shows, in DynamoDB's own JSON."""
    return _order(OrderItem.from_raw_data(image))


def change_of(item: OrderItem) -> Change:
    change = item.change
    actor = Actor(change.by, change.terminal, change.device, change.address)
    return Change(int(item.version), change.what, Status(item.status), int(change.at), actor)


def _card(name: str) -> Card:
    pool, _, card_id = name.rpartition("/")
    return Card(Pool.parse(pool), card_id)


def _payment(payment: Any, currency: str) -> Payment:
    paid = None
    if payment.paid_minor is not None:
        paid = Money(int(payment.paid_minor), payment.paid_currency or currency)
    return Payment(
        payment.payment_id,
        payment.channel,
        Money(int(payment.minor), currency),
        PaymentState(payment.state),
        paid,
        payment.provider_ref,
        payment.session_ref,
        PaymentState(payment.was) if payment.was else None,
        tuple(_refund(each) for each in payment.refunds or ()),
        bool(payment.kept),
        payment.way,
        tuple(payment.won or ()),
    )


def _refund(refund: Any) -> Refund:
    amount = Money(int(refund.minor), refund.currency)
    return Refund(refund.refund_id, amount, RefundState(refund.state), refund.by, refund.provider_ref, refund.key)


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)
