"""An order and its trade: every method answers the order as it would be after one more change.

Nothing here writes: a use case hands the order before and the order after to the store, which records the
difference under the condition that nobody changed the order in between.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, replace

from cardshop.domain import trade
from cardshop.domain.card import Card
from cardshop.domain.money import Money
from cardshop.domain.payment import TRADE_ID_LENGTH, UNSETTLED, Payment, PaymentState
from cardshop.domain.trade import Status


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
            email=email,
            password=password,
        )

    def payment(self, payment_id: str) -> Payment | None:
        return next((payment for payment in self.payments if payment.payment_id == payment_id), None)

    def settled(self, payment_id: str, paid: Money, provider_ref: str | None, at: int) -> Order:
        """The provider confirmed that it received `paid` for this payment.

        The same confirmation twice changes nothing. Money always gets a state: `short` (too little, or another
        currency), `accepted` (with the surplus visible as `paid` > `amount`), `duplicate` (another payment was
        accepted), `late` (the order is closed).
        """
        payment = self.payment(payment_id)
        if payment is None or payment.state not in UNSETTLED:
            return self
        if paid.currency != payment.amount.currency or paid.minor < payment.amount.minor:
            return self._judged(payment, PaymentState.SHORT, paid, provider_ref, at)
        if self.status is Status.PENDING_PAYMENT:
            return self._judged(payment, PaymentState.ACCEPTED, paid, provider_ref, at, Status.PAID)
        if any(other.state is PaymentState.ACCEPTED for other in self.payments):
            return self._judged(payment, PaymentState.DUPLICATE, paid, provider_ref, at)
        return self._judged(payment, PaymentState.LATE, paid, provider_ref, at)

    def delivered(self, at: int) -> Order:
        return self._changed(at, SHOP, Status.DELIVERED, task_token=None)

    def completed(self, at: int, actor: Actor = SHOP) -> Order:
        return self._changed(at, actor, Status.COMPLETED)

    def closed(self, at: int) -> Order:
        """The window is over, or the failure is settled. The cards go back in the same write: none is named here."""
        return self._changed(at, SHOP, Status.CLOSED, cards=())

    def revealed(self, at: int, actor: Actor) -> Order:
        return self._changed(at, actor, what="cards_revealed")

    def _judged(  # noqa: PLR0917  private, and called in one place
        self,
        payment: Payment,
        state: PaymentState,
        paid: Money,
        provider_ref: str | None,
        at: int,
        status: Status | None = None,
    ) -> Order:
        judged = replace(payment, state=state, paid=paid, provider_ref=provider_ref)
        payments = tuple(judged if each is payment else each for each in self.payments)
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
