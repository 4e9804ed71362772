"""An order and its trade: every method answers the order as it would be after one more change.

Nothing here writes: a use case hands the order before and the order after to the store, which records the
difference under the condition that nobody changed the order in between.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import Counter
from dataclasses import dataclass, replace

from cardshop.domain import looks, trade
from cardshop.domain.card import Card
from cardshop.domain.money import Money
from cardshop.domain.payment import FUNDING, TRADE_ID_LENGTH, UNSETTLED, Payment, PaymentState, payment_id
from cardshop.domain.trade import HOLDS_CARDS, Status


def trade_id(secret: bytes, idempotency_key: str) -> str:
    """26 characters of `[a-z2-7]` (130 bits): the same key always finds the same order, without a record of its own."""
    digest = hmac.digest(secret, b"trade:" + idempotency_key.encode(), hashlib.sha256)
    return base64.b32encode(digest).decode().lower()[:TRADE_ID_LENGTH]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changed the order, and from where. `address` and `device` are kept for the shop's audit."""

    by: str  # buyer | provider | operator | shop
    terminal: str | None = None  # pc | mobile | miniapp | api
    device: str | None = None
    address: str | None = None


SHOP = Actor("shop")
PROVIDER = Actor("provider")


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of a trade's timeline. `what` is the state reached, or the event that left the state alone."""

    version: int
    what: str
    status: Status
    at: int  # milliseconds since the epoch, UTC
    actor: Actor


@dataclass(frozen=True, slots=True)
class Line:
    sku: str
    name: str
    quantity: int
    price: Money  # of one card, when it was ordered


@dataclass(frozen=True, slots=True)
class Order:
    trade_id: str
    status: Status
    version: int
    lines: tuple[Line, ...]
    amount: Money
    cards: tuple[Card, ...]
    payments: tuple[Payment, ...]
    terminal: str
    created_at: int  # milliseconds
    expires_at: int  # milliseconds
    fingerprint: str
    last_change: Change
    due_at: int | None = None  # milliseconds: when `reconcile` must look at it (`looks.py`)
    lacking: str | None = None  # while awaiting stock: a SKU there were too few cards of
    email: str | None = None
    password: str | None = None  # scrypt record, never the password
    task_token: str | None = None  # Step Functions' callback; writing it is no change

    @classmethod
    def placed(
        cls,
        *,
        trade_id: str,
        lines: tuple[Line, ...],
        cards: tuple[Card, ...],
        payment: Payment,
        actor: Actor,
        at: int,
        window_ms: int,
        fingerprint: str,
        due_at: int | None = None,
        email: str | None = None,
        password: str | None = None,
    ) -> Order:
        trade.check(None, Status.PENDING_PAYMENT)
        return cls(
            trade_id=trade_id,
            status=Status.PENDING_PAYMENT,
            version=1,
            lines=lines,
            amount=payment.amount,
            cards=cards,
            payments=(payment,),
            terminal=actor.terminal or "api",
            created_at=at,
            expires_at=at + window_ms,
            fingerprint=fingerprint,
            last_change=Change(1, Status.PENDING_PAYMENT, Status.PENDING_PAYMENT, at, actor),
            due_at=due_at,
            email=email,
            password=password,
        )

    def payment(self, payment_id: str) -> Payment | None:
        return next((payment for payment in self.payments if payment.payment_id == payment_id), None)

    @property
    def unsettled(self) -> list[Payment]:
        """Payments whose money may still come."""
        return [payment for payment in self.payments if payment.state in UNSETTLED]

    @property
    def funded(self) -> bool:
        """Whether a payment has paid for it."""
        return any(payment.state in FUNDING for payment in self.payments)

    @property
    def amount_due(self) -> Money:
        """What is still to be paid: the amount without what short payments brought."""
        brought = sum(
            payment.paid.minor
            for payment in self.payments
            if payment.state is PaymentState.SHORT and payment.paid and payment.paid.currency == self.amount.currency
        )
        return Money(max(0, self.amount.minor - brought), self.amount.currency)

    @property
    def wanted(self) -> dict[str, int]:
        """Cards by SKU."""
        return {line.sku: line.quantity for line in self.lines}

    @property
    def has_its_cards(self) -> bool:
        named = Counter(card.pool.sku for card in self.cards)
        return self.status in HOLDS_CARDS and named == Counter(self.wanted)

    def reopened(self, channel: str, actor: Actor, at: int) -> Order:
        """One more payment, of what is due, through this channel."""
        number = payment_id(self.trade_id, len(self.payments) + 1)
        payment = Payment(number, channel, self.amount_due, PaymentState.OPEN)
        return self._changed(at, actor, what="payment_opened", payments=(*self.payments, payment))

    def settled(
        self,
        payment_id: str,
        paid: Money,
        provider_ref: str | None,
        at: int,
        *,
        cards: tuple[Card, ...] | None = None,
        lacking: str | None = None,
    ) -> Order:
        """The provider confirmed that it received `paid` for this payment.

        The same confirmation twice changes nothing. Money always gets a state: `duplicate` (another payment paid for
        the order), `short` (less than is due, or another currency), `accepted`, or `surplus` (more than was asked).
        A closed order is paid late: `cards` are the new ones found for it, or `lacking` names what there is too
        little of. `late` is money for an order that nothing can be claimed for any more.
        """
        payment = self.payment(payment_id)
        if payment is None or payment.state not in UNSETTLED:
            return self
        received = replace(payment, paid=paid, provider_ref=provider_ref)
        state = self._judgement(payment, paid)
        if state not in FUNDING or self.status is Status.ON_HOLD:
            return self._judged(received, state, at)
        if self.status is Status.PENDING_PAYMENT:
            return self._judged(received, state, at, Status.PAID)
        if self.status is Status.CLOSED and (cards is not None or lacking is not None):
            reached = Status.PAID if cards is not None else Status.AWAITING_STOCK
            late = self._judged(received, state, at, reached)
            return replace(late, cards=cards or (), lacking=lacking, due_at=at + looks.SOON)
        return self._judged(received, PaymentState.LATE, at)

    def failed(self, at: int, actor: Actor) -> Order:
        """The buyer cancels, or the provider's failure is final. Its cards stay its own until it is closed."""
        return self._changed(at, actor, Status.PAYMENT_FAILED)

    def delivered(self, at: int, after_sale_ms: int, *, cards: tuple[Card, ...] | None = None) -> Order:
        """The cards are the buyer's to read: those it names or, for one that awaited stock, `cards`."""
        given = self.cards if cards is None else cards
        return self._changed(at, SHOP, Status.DELIVERED, cards=given, lacking=None, due_at=at + after_sale_ms)

    def short_of_cards(self, at: int, lacking: str) -> Order:
        """It is paid, and its cards are not to be given. Others may be for sale: worth a look at once."""
        return self._changed(at, SHOP, Status.AWAITING_STOCK, cards=(), lacking=lacking, due_at=at)

    def completed(self, at: int, actor: Actor = SHOP) -> Order:
        return self._changed(at, actor, Status.COMPLETED, due_at=looks.after_closing(at) if self.unsettled else None)

    def closed(self, at: int, actor: Actor = SHOP) -> Order:
        """The window is over, or the failure is settled. The cards go back in the same write: none is named here."""
        next_look = looks.after_closing(at) if self.unsettled else None
        return self._changed(at, actor, Status.CLOSED, cards=(), due_at=next_look)

    def revealed(self, at: int, actor: Actor) -> Order:
        return self._changed(at, actor, what="cards_revealed")

    def _judgement(self, payment: Payment, paid: Money) -> PaymentState:
        """What this money is to the order, as long as it can be paid."""
        if self.funded:
            return PaymentState.DUPLICATE
        if paid.currency != self.amount.currency or paid.minor < self.amount_due.minor:
            return PaymentState.SHORT
        return PaymentState.SURPLUS if paid.minor > self.amount_due.minor else PaymentState.ACCEPTED

    def _judged(self, payment: Payment, state: PaymentState, at: int, status: Status | None = None) -> Order:
        payments = tuple(
            replace(payment, state=state) if each.payment_id == payment.payment_id else each for each in self.payments
        )
        return self._changed(at, PROVIDER, status, what=None if status else f"payment_{state}", payments=payments)

    def _changed(
        self, at: int, actor: Actor, status: Status | None = None, *, what: str | None = None, **fields: object
    ) -> Order:
        if status is not None:
            trade.check(self.status, status)
        after = status or self.status
        version = self.version + 1
        change = Change(version, what or after, after, at, actor)
        return replace(self, status=after, version=version, last_change=change, **fields)  # type: ignore[arg-type]
