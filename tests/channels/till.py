"""A whole shop in memory behind one channel's real protocol: what its provider says arrives and has its effect."""

from __future__ import annotations

import secrets
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

from cardshop.domain.card import Card
from cardshop.domain.money import Money
from cardshop.domain.order import Line, Order
from cardshop.domain.payment import Channel, Notice, Payment, PaymentSession, PaymentState, Reply, payment_id
from cardshop.domain.trade import Status
from cardshop.ports import Provider, QueuedNotice
from cardshop.usecases.ask_provider import AskProvider
from cardshop.usecases.close_trade import CloseTrade
from cardshop.usecases.confirm_payment import ConfirmPayment, Outcome
from cardshop.usecases.deliver_cards import DeliverCards
from cardshop.usecases.open_payment import OpenPayment, Payer
from cardshop.usecases.receive_notice import ReceiveNotice
from cardshop.usecases.refund_payment import RefundPayment, ReturnMoney
from cardshop.usecases.settle_payment import RecordPayment, SettlePayment

from simulators import booth
from tests.channels.subject import Subject
from tests.domain.builders import AFTER_SALE_MS, BUYER, FINGERPRINT, SKU, STOCK_PATIENCE_MS, WINDOW_MS
from tests.usecases.fakes import URLS, Channels, Shop

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


class Till:
    def __init__(self, subject: Subject, price: Money) -> None:
        self.subject = subject
        self.price = price
        self.shop = Shop()
        self.shop.clock.now = int(time.time() * 1000)  # providers sign the time
        self.shop.channels = Channels({subject.channel.name: subject.channel})
        self.cards = self.shop.sells(SKU, 8, price)
        self.provider = subject.provider

    # ---- the use cases, as the functions compose them

    @cached_property
    def open(self) -> OpenPayment:
        return OpenPayment(self.shop.orders, self.shop.channels, self._provider, lambda: URLS)

    @cached_property
    def ask(self) -> AskProvider:
        return AskProvider(self.shop.channels, self._provider)

    @cached_property
    def record(self) -> RecordPayment:
        return RecordPayment(self.shop.orders, self.shop.stock, self.shop.catalogue, self.shop.clock)

    @cached_property
    def settle(self) -> SettlePayment:
        return SettlePayment(self.record, self.shop.machine)

    @cached_property
    def refund(self) -> RefundPayment:
        return RefundPayment(self.shop.orders, self.shop.channels, self._provider, self.shop.machine, self.shop.clock)

    @cached_property
    def return_money(self) -> ReturnMoney:
        return ReturnMoney(self.refund, STOCK_PATIENCE_MS, self.shop.clock)

    @cached_property
    def confirm(self) -> ConfirmPayment:
        shop = self.shop
        return ConfirmPayment(
            orders=shop.orders,
            timeline=shop.timeline,
            channels=shop.channels,
            provider=self._provider,
            settle=self.settle,
            refund=self.refund,
            workflow=shop.machine,
            clock=shop.clock,
        )

    def _provider(self, name: str) -> Provider:
        assert name == self.subject.provider_name
        return self.provider

    # ---- a buyer

    def ordered(self) -> Order:
        """An unpaid order whose first payment is open at the provider, and its page seen."""
        trade_id = "".join(secrets.choice(_ALPHABET) for _ in range(26))
        held = (self._taken(),)
        order = Order.placed(
            trade_id=trade_id,
            lines=(Line(SKU, "Steam 充值卡 50 元 & Gift <Card>", 1, self.price),),
            cards=held,
            payment=Payment(payment_id(trade_id, 1), self.subject.channel.name, self.price, PaymentState.OPEN),
            actor=replace(BUYER, terminal=self.subject.terminal),
            at=self.shop.clock(),
            window_ms=WINDOW_MS,
            fingerprint=FINGERPRINT,
        )
        self.shop.orders.put(order)
        self.opened(order, order.payments[0])
        return self.order(order)

    def _taken(self) -> Card:
        card = next(card for card in self.cards if self.shop.stock.has(card))
        self.shop.stock.take(card)
        return card

    def opened(self, order: Order, payment: Payment) -> PaymentSession:
        subject = self.subject
        session = self.open(order, payment, Payer(subject.terminal, BUYER.address, subject.payer))
        if session.redirect_url is not None and subject.booth.find(number=payment.payment_id) is None:
            assert session.redirect_url.startswith(subject.booth.url)
            with urllib.request.urlopen(session.redirect_url, timeout=5):  # the page is what opens it there
                pass
        assert subject.booth.find(number=payment.payment_id) is not None, "it is open at the provider"
        return session

    def order(self, order: Order) -> Order:
        """As it is now."""
        return self.shop.orders.by_id[order.trade_id]

    def payment(self, order: Order, number: int = 0) -> Payment:
        return self.order(order).payments[number]

    def pays(self, order: Order, number: int = 0, received: Money | None = None) -> str:
        """At the provider, which sends nothing. The payment's id."""
        name = order.payments[number].payment_id
        there = self.there(name)
        assert self.subject.booth.pay(there, self.subject.written(received) if received else None, notify=False)
        return name

    def there(self, number: str) -> booth.Payment:
        """The payment as the provider has it."""
        found = self.subject.booth.find(number=number)
        assert found is not None
        return found

    # ---- the provider speaks

    def receives(self, notice: Notice, channel: str | None = None) -> Reply:
        """At the edge: verified, queued, acknowledged."""
        receive = ReceiveNotice(self.shop.channels, self._provider, self.shop.queue, self.shop.clock)
        reply, _ = receive(channel or self.subject.channel.name, notice)
        return reply

    def handled(self) -> list[Outcome]:
        """What is queued has its effect, and a paid order is delivered, as the machine would."""
        found: list[Outcome] = []
        while self.shop.queue.messages:
            queued, _ = self.shop.queue.messages.pop(0)
            found += self.takes(queued)
        return found

    def takes(self, queued: QueuedNotice) -> list[Outcome]:
        found = self.confirm(queued)
        self.drives()
        return found

    def drives(self) -> None:
        deliver = DeliverCards(self.shop.orders, self.shop.catalogue, AFTER_SALE_MS, self.shop.clock)
        for order in list(self.shop.orders.by_id.values()):
            if order.status is Status.PAID:
                deliver(order.trade_id)

    def hears(self, notice: Notice) -> list[Outcome]:
        assert self.receives(notice) == self.provider.acknowledge()
        return self.handled()

    def says(self, number: str, event: str = "paid", refund: booth.Refund | None = None) -> list[Outcome]:
        return self.hears(self.subject.notice(number, event, refund))

    # ---- what must be so

    def delivered(self) -> Order:
        """A delivered order, paid and told in the usual way."""
        order = self.ordered()
        assert self.says(self.pays(order)) == [Outcome.ACCEPTED]
        after = self.order(order)
        assert after.status is Status.DELIVERED
        assert after.has_its_cards
        return after

    def closes(self, order: Order) -> Order:
        CloseTrade(self.shop.orders, self.ask, self.record, self.shop.clock)(order.trade_id)
        return self.order(order)

    def sound(self) -> None:
        """No card twice, none lost, no money without a state."""
        where = Counter(card.card_id for order in self.shop.orders.by_id.values() for card in order.cards)
        where.update(self.shop.stock.card_ids)
        assert set(where.values()) == {1}
        assert set(where) == {card.card_id for card in self.cards}
        for order in self.shop.orders.by_id.values():
            assert sum(each.judged in {PaymentState.ACCEPTED, PaymentState.SURPLUS} for each in order.payments) <= 1

    def another_channel(self) -> Channel:
        """A second channel of the same provider and account."""
        channel = replace(self.subject.channel, name="another")
        self.shop.channels["another"] = channel
        return channel


Case = Callable[[Till], None]
