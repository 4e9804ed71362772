"""Money goes back: on record first, then sent by the provider, and followed until it is there. Never twice.

A refund has a number of ours from its first write on. Whoever finds it under way asks the provider with that number
again, and the provider sends it once. What the channel cannot send waits for an operator's hands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from cardshop.domain.errors import NotFound, NotRefundable, Unavailable
from cardshop.domain.money import Money
from cardshop.domain.order import PROVIDER, SHOP, Actor, Order
from cardshop.domain.payment import (
    UNDER_WAY,
    Channel,
    Payment,
    PaymentState,
    Refund,
    Refunds,
    RefundState,
    RefundWord,
)
from cardshop.domain.trade import Status
from cardshop.ports import Channels, Clock, Orders, Provider, Workflow
from cardshop.usecases.change import change

_MAX_REFUNDS = 20  # of one payment: they live inside the order, which stays small


@dataclass(frozen=True, slots=True)
class RefundPayment:
    orders: Orders
    channels: Channels
    provider: Callable[[str], Provider]
    workflow: Workflow
    clock: Clock

    def __call__(
        self, trade_id: str, payment_id: str, amount: Money | None, actor: Actor, key: str | None = None
    ) -> tuple[Order, Refund]:
        """The order and its refund, as far as it got. None: everything that is left of the payment.

        NotRefundable if there is not so much. The same `key` again is the same refund.
        """

        def decide(order: Order, payment: Payment) -> Order:
            if key is not None and any(each.key == key for each in payment.refunds):
                return order
            return order.refund_noted(payment, self._next(payment, amount, actor, key), self.clock(), actor)

        order = self._change(trade_id, payment_id, decide)
        payment = _payment(order, payment_id)
        refund = next((each for each in payment.refunds if key is not None and each.key == key), payment.refunds[-1])
        order = self.follow(order, payment, refund) if refund.state in UNDER_WAY else self.finish(order)
        refund = next(each for each in _payment(order, payment_id).refunds if each.refund_id == refund.refund_id)
        return order, refund

    def note_owed(self, trade_id: str, owed: Callable[[Order], list[Payment]]) -> Order:
        """On record: all that is left of the payments that the order, as it is now, owes."""

        def decide(order: Order) -> Order:
            refunds = [(payment, self._next(payment, None, SHOP, None)) for payment in owed(order)]
            return order.refunds_noted(refunds, self.clock(), SHOP) if refunds else order

        return change(self.orders, trade_id, decide)

    def follow(self, order: Order, payment: Payment, refund: Refund) -> Order:
        """Ask the provider for it, again if need be. If that does not answer, it stays under way; what it answers is
        heard like a notice, as notices may have come meanwhile.

        Money that the payer has taken back himself, or contests, is not sent to him as well.
        """
        channel = self.channels.find(payment.channel)
        taken_back = payment.state is PaymentState.CHARGED_BACK and refund.state is RefundState.REQUESTED
        if channel is None or taken_back:
            return self.tell(order.trade_id, payment.payment_id, _own(refund, RefundState.REFUSED))
        provider = self.provider(channel.provider)
        ask = provider.query_refund if refund.state is RefundState.PENDING else provider.refund
        try:
            word = ask(channel, payment, refund)
        except Unavailable:
            return order
        except NotRefundable:  # it cannot any more
            word = _own(refund, RefundState.REFUSED)
        word = replace(word, refund_id=refund.refund_id)
        if word.state is RefundState.REFUSED and word.provider_ref is None:  # never taken: nothing can have come back
            return self.tell(order.trade_id, payment.payment_id, word)
        return self.hear(channel, order.trade_id, payment.payment_id, word)

    def hear(self, channel: Channel, trade_id: str, payment_id: str, word: RefundWord) -> Order:
        """What a provider says of a refund, which may be late: that money has come back, or has gone after all, is
        believed if it says so when asked. Unavailable if it does not answer: the word is to be heard again.
        """
        order = self._change(trade_id, payment_id, lambda order, payment: self._heard(channel, order, payment, word))
        return self.finish(order)

    def _heard(self, channel: Channel, order: Order, payment: Payment, word: RefundWord) -> Order:
        """Whoever is asked here is asked about the order as it is when the answer is written."""
        provider, known = self.provider(channel.provider), payment.meant(word)
        if known is not None and known.is_belied_by(word):
            there = replace(known, provider_ref=known.provider_ref or word.provider_ref)
            said, total = provider.query_refund(channel, payment, there), provider.query_total(channel, payment)
            word = replace(said, refund_id=known.refund_id, total=total)
            if word.state is RefundState.REFUSED:
                return order.refund_undone(payment.payment_id, word, self.clock())
        elif word.total is not None and any(each.came_back for each in payment.refunds):  # they may be in it
            word = replace(word, total=provider.query_total(channel, payment))
        return order.refund_told(payment.payment_id, word, self.clock())

    def tell(self, trade_id: str, payment_id: str, word: RefundWord, actor: Actor = PROVIDER) -> Order:
        """What is said of a refund meets the order."""
        order = self._change(
            trade_id, payment_id, lambda order, _: order.refund_told(payment_id, word, self.clock(), actor)
        )
        return self.finish(order)

    def finish(self, order: Order) -> Order:
        """An order whose money has all gone is refunded, and its execution ends."""
        if order.status is not Status.REFUNDING:
            return order
        order = change(self.orders, order.trade_id, lambda there: there.gone(self.clock()))
        if order.status is Status.REFUNDED and order.task_token is not None:
            self.workflow.succeed(order.task_token)
        return order

    def done_by_hand(
        self, trade_id: str, payment_id: str, amount: Money | None, provider_ref: str, actor: Actor
    ) -> tuple[Order, Refund]:
        """An operator has sent it: the refund that waited for that, or this amount. Told again, it is the same."""

        def decide(order: Order, payment: Payment) -> Order:
            if any(each.provider_ref == provider_ref for each in payment.refunds):
                return order
            waiting = [each for each in payment.by_hand if amount in {None, each.amount}]
            if waiting:
                word = RefundWord(RefundState.DONE, waiting[0].refund_id, provider_ref)
                return order.refund_told(payment_id, word, self.clock(), actor)
            sent = payment.next_refund(_within(payment, amount), RefundState.DONE, actor.by, provider_ref=provider_ref)
            return order.refund_noted(payment, sent, self.clock(), actor)

        order = self.finish(self._change(trade_id, payment_id, decide))
        payment = _payment(order, payment_id)
        return order, next(each for each in payment.refunds if each.provider_ref == provider_ref)

    def keep(self, trade_id: str, payment_id: str, actor: Actor) -> Order:
        """An operator decides that what is left of it stays."""

        def decide(order: Order, payment: Payment) -> Order:
            if payment.paid is None:
                raise NotRefundable("nothing was received for this payment")
            return order.kept(payment_id, self.clock(), actor)

        return self._change(trade_id, payment_id, decide)

    def _next(self, payment: Payment, amount: Money | None, actor: Actor, key: str | None) -> Refund:
        asked = _within(payment, amount)
        state = RefundState.REQUESTED if self._can(payment, asked) else RefundState.BY_HAND
        return payment.next_refund(asked, state, actor.by, key=key)

    def _can(self, payment: Payment, amount: Money) -> bool:
        """Whether the payment's channel sends this much back by itself."""
        channel = self.channels.find(payment.channel)
        able = self.provider(channel.provider).terms(channel).refunds if channel is not None else Refunds.NONE
        return able is Refunds.PARTIAL or (able is Refunds.WHOLE and amount == payment.paid)

    def _change(self, trade_id: str, payment_id: str, decide: Callable[[Order, Payment], Order]) -> Order:
        return change(self.orders, trade_id, lambda order: decide(order, _payment(order, payment_id)))


def _payment(order: Order, payment_id: str) -> Payment:
    payment = order.payment(payment_id)
    if payment is None:
        raise NotFound("the order has no such payment")
    return payment


def _own(refund: Refund, state: RefundState) -> RefundWord:
    return RefundWord(state, refund.refund_id)


def _within(payment: Payment, amount: Money | None) -> Money:
    """The amount, if so much of the payment is left; all of it for None."""
    if payment.paid is None or not payment.left:
        raise NotRefundable("there is nothing of this payment to send back")
    wanted = amount or replace(payment.paid, minor=payment.left)
    if wanted.currency != payment.paid.currency or wanted.minor > payment.left:
        raise NotRefundable(f"{payment.left} minor units of {payment.paid.currency} are left of it")
    if len(payment.refunds) >= _MAX_REFUNDS:
        raise NotRefundable(f"at most {_MAX_REFUNDS} refunds a payment")
    return wanted


@dataclass(frozen=True, slots=True)
class ReturnMoney:
    """The ladder's own steps: what nobody asked for, and must go back all the same."""

    refund: RefundPayment
    patience_ms: int  # how long a paid order awaits stock
    clock: Clock

    def __call__(self, order: Order) -> Order:
        """The order, after what it owes was put on record, and each of its refunds was followed."""
        if self._owed(order):
            order = self.refund.note_owed(order.trade_id, self._owed)
        for payment in order.payments:
            for refund in payment.under_way:
                order = self.refund.follow(order, payment, refund)
        return self.refund.finish(order)

    def _owed(self, order: Order) -> list[Payment]:
        """What came beside the price; and the price itself, of an order that has awaited stock for too long."""
        if order.status is not Status.AWAITING_STOCK or self.clock() < order.last_change.at + self.patience_ms:
            return order.owed
        return [each for each in order.payments if each.left and not (_kept(each) or each.by_hand)]


def _kept(payment: Payment) -> bool:
    """Whether its price stays too: who kept a surplus decided that before anybody tried to send the whole back."""
    return payment.kept and not (payment.judged is PaymentState.SURPLUS and not payment.refunds)
