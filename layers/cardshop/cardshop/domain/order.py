"""An order and its trade: every method answers the order as it would be after one more change.

Nothing here writes: a use case hands the order before and the order after to the store, which records the
difference under the condition that nobody changed the order in between.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from cardshop.domain import looks, trade
from cardshop.domain.card import Card
from cardshop.domain.money import Money
from cardshop.domain.payment import (
    FUNDING,
    TRADE_ID_LENGTH,
    UNDER_WAY,
    UNSETTLED,
    Payment,
    PaymentState,
    Refund,
    RefundState,
    RefundWord,
    payment_id,
)
from cardshop.domain.trade import HOLDS_CARDS, UNPAID, Status


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
    after_sale_until: int | None = None  # milliseconds; once delivered
    revealed_at: int | None = None  # milliseconds: when its codes were first read
    refunding_from: Status | None = None  # while refunding: where it goes back to if the money stays
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
    def contested(self) -> bool:
        """Whether the payer has taken back, or contests, what its price was paid with: its codes are not to be read."""
        uncontested = [each for each in self.price_paid if each.state is not PaymentState.CHARGED_BACK]
        paid = [each.paid.minor for each in uncontested if each.paid and each.paid.currency == self.amount.currency]
        return len(uncontested) < len(self.price_paid) and sum(paid) < self.amount.minor

    @property
    def forfeited(self) -> bool:
        """Whether its codes were read and the money has gone: cards to be blocked at their issuer, if it can."""
        return self.revealed_at is not None and (self.contested or self.status is Status.REFUNDED)

    @property
    def tasks(self) -> list[Payment]:
        """Payments that wait for an operator: to send money back by hand, or to decide on a surplus."""
        valid = [each for each in self.payments if each.state is not PaymentState.CHARGED_BACK]
        return [each for each in valid if each.by_hand or (_undecided(each) and not each.kept)]

    @property
    def owed(self) -> list[Payment]:
        """Payments whose money is not the shop's to keep: it came beside the price, or nothing is given for it."""
        free = [each for each in self.payments if each.left and not (each.kept or each.by_hand)]
        return [each for each in free if self._owes(each)]

    @property
    def price_paid(self) -> list[Payment]:
        """Payments whose money is the order's price, or was meant to be."""
        return [each for each in self.payments if each.paid is not None and each.judged not in _ODD]

    @property
    def half_gone(self) -> bool:
        """Whether one of the payments of its price has gone whole, and the others are less than that: nothing is given
        for them. (A part that an operator sends back of one is no such thing.)
        """
        left = sum(each.left for each in self.price_paid if each.paid and each.paid.currency == self.amount.currency)
        return any(not each.left for each in self.price_paid) and left < self.amount.minor

    @property
    def unfinished(self) -> bool:
        """Whether money is still to go back, is on its way, or waits for an operator."""
        return bool(self.owed or self.tasks or any(each.under_way for each in self.payments))

    @property
    def unsettled(self) -> list[Payment]:
        """Payments whose money may still come."""
        return [payment for payment in self.payments if payment.state in UNSETTLED]

    @property
    def funded(self) -> bool:
        """Whether a payment has paid for it, and the shop has (some of) its price."""
        paid = (each.judged in FUNDING and each.state is not PaymentState.CHARGED_BACK for each in self.payments)
        return any(paid) and any(payment.left for payment in self.price_paid)

    def is_payable(self, at: int) -> bool:
        return self.status is Status.PENDING_PAYMENT and at < self.expires_at

    @property
    def amount_due(self) -> Money:
        """What is still to be paid: the amount without what short payments brought."""
        brought = sum(
            payment.left
            for payment in self.payments
            if payment.judged is PaymentState.SHORT and payment.paid and payment.paid.currency == self.amount.currency
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

    def reopened(
        self, channel: str, actor: Actor, at: int, way: str | None = None, instead_of: Payment | None = None
    ) -> Order:
        """One more payment, of what is due, through this channel (and in this way, if it is bound to one).

        `instead_of`: one that nobody can be told how to pay. Should money come of it all the same, it is taken.
        """
        number = payment_id(self.trade_id, len(self.payments) + 1)
        payment = Payment(number, channel, self.amount_due, PaymentState.OPEN, way=way)
        before = self.payments if instead_of is None else self._with(replace(instead_of, state=PaymentState.FAILED))
        return self._changed(at, actor, what="payment_opened", payments=(*before, payment))

    def settled(
        self,
        payment_id: str,
        paid: Money,
        provider_ref: str | None,
        at: int,
        *,
        actor: Actor = PROVIDER,
        cards: tuple[Card, ...] | None = None,
        lacking: str | None = None,
    ) -> Order:
        """The provider (or an operator who has seen it there) confirmed that it received `paid` for this payment.

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
            return self._judged(received, state, at, actor)
        if self.status is Status.PENDING_PAYMENT:
            return self._judged(received, state, at, actor, Status.PAID)
        if self.status is Status.CLOSED and (cards is not None or lacking is not None):
            reached = Status.PAID if cards is not None else Status.AWAITING_STOCK
            late = self._judged(received, state, at, actor, reached)
            return replace(late, cards=cards or (), lacking=lacking, due_at=at + looks.SOON)
        return self._judged(received, PaymentState.LATE, at, actor)

    def failed(self, at: int, actor: Actor) -> Order:
        """The buyer cancels, or the provider's failure is final. Its cards stay its own until it is closed."""
        return self._changed(at, actor, Status.PAYMENT_FAILED)

    def delivered(self, at: int, after_sale_ms: int, *, cards: tuple[Card, ...] | None = None) -> Order:
        """The cards are the buyer's to read: those it names or, for one that awaited stock, `cards`."""
        given = self.cards if cards is None else cards
        until = at + after_sale_ms
        payments = tuple(
            _let_be(each, [refund for refund in each.by_hand if refund.by == SHOP.by])  # else somebody meant it
            if each in self.price_paid
            else each
            for each in self.payments
        )
        after = self._changed(
            at, SHOP, Status.DELIVERED, cards=given, payments=payments, lacking=None, after_sale_until=until
        )
        if after.unfinished:
            return replace(after, due_at=at)
        # Whoever filled it may not have woken the machine, and money of another payment may come: worth an early look.
        early = self.status is Status.AWAITING_STOCK or bool(after.unsettled)
        return replace(after, due_at=min(until, at + looks.SOON) if early else until)

    def short_of_cards(self, at: int, lacking: str) -> Order:
        """It is paid, and its cards are not to be given. Others may be for sale: worth a look at once."""
        return self._changed(at, SHOP, Status.AWAITING_STOCK, cards=(), lacking=lacking, due_at=at)

    def completed(self, at: int, actor: Actor = SHOP) -> Order:
        return self._changed(at, actor, Status.COMPLETED, due_at=self._next_look(at))

    def closed(self, at: int, actor: Actor = SHOP) -> Order:
        """The window is over, or the failure is settled. The cards go back in the same write: none is named here."""
        after = self._changed(at, actor, Status.CLOSED, cards=())
        return replace(after, due_at=after._next_look(at))

    def revealed(self, at: int, actor: Actor) -> Order:
        first = at if self.revealed_at is None else self.revealed_at
        return self._changed(at, actor, what="cards_revealed", revealed_at=first)

    def declined(self, payment_id: str, at: int) -> Order:
        """The provider's failure of this payment is final. If no other is open, so is the order's."""
        payment = self.payment(payment_id)
        if payment is None or payment.state is not PaymentState.OPEN:
            return self
        payments = self._with(replace(payment, state=PaymentState.FAILED))
        over = self.status is Status.PENDING_PAYMENT and all(each.state is not PaymentState.OPEN for each in payments)
        status = Status.PAYMENT_FAILED if over and not any(each.left for each in payments) else None
        return self._changed(at, PROVIDER, status, what=None if status else "payment_failed", payments=payments)

    def refund_noted(self, payment: Payment, refund: Refund, at: int, actor: Actor) -> Order:
        """One more refund of this payment is on record: before anybody is asked to send it."""
        return self.refunds_noted([(payment, refund)], at, actor)

    def refunds_noted(self, refunds: Sequence[tuple[Payment, Refund]], at: int, actor: Actor) -> Order:
        """One more of each of these payments, all of them or none: nothing is given for a price of which half goes."""
        asked = [payment.with_refunds((*payment.refunds, refund)) for payment, refund in refunds]
        states = sorted({refund.state for _, refund in refunds}, key=list(RefundState).index)
        return self._moved(asked, at, actor, f"refund_{states[0]}")

    def refund_told(self, payment_id: str, word: RefundWord, at: int, actor: Actor = PROVIDER) -> Order:
        """What the provider says of a refund, ours or one that somebody made there; hearing it again changes nothing.

        A refund that has ended stays as it ended, but for one thing: it may be done after all.
        """
        payment = self.payment(payment_id)
        if payment is None or payment.paid is None:
            return self
        told = _of_all(_of_one(payment, word), word)
        news = [each.state for each in told.refunds if each not in payment.refunds]
        if not news:
            return self
        return self._moved([told], at, actor, f"refund_{RefundState.DONE if RefundState.DONE in news else news[0]}")

    def refund_undone(self, payment_id: str, word: RefundWord, at: int) -> Order:
        """It was done, and its money has come back to the shop: somebody's task, also of an order that is refunded.

        `word.total`: what has gone in all without it. Money that somebody sent there meanwhile was taken for its own.
        """
        payment = self.payment(payment_id)
        known = payment.meant(word) if payment is not None else None
        if payment is None or known is None or known.state is not RefundState.DONE:
            return self
        back = replace(known, state=RefundState.BY_HAND, provider_ref=known.provider_ref or word.provider_ref)
        undone = payment.with_refunds(tuple(back if each is known else each for each in payment.refunds))
        told = _of_all(undone, RefundWord(RefundState.DONE, total=word.total))
        return self._moved([told], at, PROVIDER, f"refund_{RefundState.BY_HAND}")

    def came_and_went(self, payment_id: str, at: int) -> Order:
        """The provider sent it back before anybody here heard that it had come."""
        payment = self.payment(payment_id)
        if payment is None or payment.state not in UNSETTLED:
            return self
        payments = self._with(replace(payment, state=PaymentState.REFUNDED))
        return self._changed(at, PROVIDER, what="payment_refunded", payments=payments)

    def charged_back(self, payment_id: str, at: int, dispute: str | None = None) -> Order:
        """The payer contests it, or has taken it back: what is not delivered yet will not be. That a `dispute` was
        opened which the shop has won by now is old news.
        """
        payment = self.payment(payment_id)
        if payment is None or payment.paid is None or payment.state is PaymentState.CHARGED_BACK:
            return self
        if dispute in payment.won:
            return self
        contested = replace(payment, state=PaymentState.CHARGED_BACK, was=payment.judged)
        return self._moved([contested], at, PROVIDER, "payment_charged_back")

    def reinstated(self, payment_id: str, at: int, dispute: str | None = None) -> Order:
        """The contest was decided for the shop. It may be heard before anything else of the `dispute` is."""
        payment = self.payment(payment_id)
        if payment is None or payment.paid is None:
            return self
        won = payment
        if dispute is not None and dispute not in payment.won:
            won = replace(payment, won=(*payment.won, dispute))
        if payment.state is not PaymentState.CHARGED_BACK:
            payments = self._with(won)
            return self if won is payment else self._changed(at, PROVIDER, what="payment_reinstated", payments=payments)
        back = replace(won, state=payment.judged, was=None).with_refunds(payment.refunds)
        return self._moved([back], at, PROVIDER, "payment_reinstated")

    def kept(self, payment_id: str, at: int, actor: Actor) -> Order:
        """An operator decides that what is left of this payment stays with the shop."""
        payment = self.payment(payment_id)
        if payment is None or (payment.kept and not payment.by_hand):
            return self
        return self._moved([replace(_let_be(payment, payment.by_hand), kept=True)], at, actor, "payment_kept")

    def gone(self, at: int) -> Order:
        """Refunding, and all its money has gone: refunded. Codes that nobody has read go back on sale."""
        if self.status is not Status.REFUNDING or any(
            (each.left and not each.kept) or each.under_way for each in self.price_paid
        ):
            return self
        cards = self.cards if self.revealed_at is not None else ()
        return self._changed(at, SHOP, Status.REFUNDED, cards=cards, refunding_from=None, due_at=at)

    def _judgement(self, payment: Payment, paid: Money) -> PaymentState:
        """What this money is to the order, as long as it can be paid."""
        if self.funded:
            return PaymentState.DUPLICATE
        if self.status not in _PAYABLE:
            return PaymentState.LATE
        if paid.currency != self.amount.currency or paid.minor < self.amount_due.minor:
            return PaymentState.SHORT
        return PaymentState.SURPLUS if paid.minor > self.amount_due.minor else PaymentState.ACCEPTED

    def _judged(
        self, payment: Payment, state: PaymentState, at: int, actor: Actor, status: Status | None = None
    ) -> Order:
        judged = replace(payment, state=state)
        what = None if status else f"payment_{state}"
        after = self._changed(at, actor, status, what=what, payments=self._with(judged))
        return replace(after, due_at=at) if after.unfinished else after

    def _moved(self, moved: Sequence[Payment], at: int, actor: Actor, what: str) -> Order:
        """Money of these payments goes, has gone or stays after all; with all that paid for it goes the order."""
        payments = self._with(*moved)
        after = replace(self, payments=payments)
        whole = bool(after.price_paid) and (after.contested or not any(each.left for each in after.price_paid))
        status = None
        if whole and self.status in _REFUNDABLE and not (after.contested and self.status in trade.REVEALABLE):
            status = Status.REFUNDING
        elif not whole and self.status is Status.REFUNDING:
            status = self.refunding_from
        changed = self._changed(at, actor, status, what=None if status else what, payments=payments, due_at=at)
        if status is Status.REFUNDING:
            return replace(changed, refunding_from=self.status, lacking=None)
        if status is not None:
            return replace(changed, refunding_from=None, lacking=self._lacked(status))
        return changed

    def _lacked(self, status: Status) -> str | None:
        return next(iter(self.wanted)) if status is Status.AWAITING_STOCK else None

    def _owes(self, payment: Payment) -> bool:
        if self.status is Status.REFUNDED or (self.status is Status.REFUNDING and self.contested):
            return True
        if payment.judged is not PaymentState.SHORT:
            return payment.judged in _ODD
        if self.funded:  # what was topped up is a part of the price, if it is money of that kind
            return payment.paid is not None and payment.paid.currency != self.amount.currency
        return self.status is Status.CLOSED

    def _next_look(self, at: int) -> int | None:
        if self.unfinished:
            return at
        return looks.after_closing(at) if self.unsettled else None

    def _with(self, *changed: Payment) -> tuple[Payment, ...]:
        by_id = {payment.payment_id: payment for payment in changed}
        return tuple(by_id.get(each.payment_id, each) for each in self.payments)

    def _changed(
        self, at: int, actor: Actor, status: Status | None = None, *, what: str | None = None, **fields: object
    ) -> Order:
        if status is not None:
            trade.check(self.status, status)
        after = status or self.status
        version = self.version + 1
        change = Change(version, what or after, after, at, actor)
        return replace(self, status=after, version=version, last_change=change, **fields)  # type: ignore[arg-type]


#: Money for it may be its price. (A payment that had failed closes the order first.)
_PAYABLE = UNPAID | {Status.ON_HOLD, Status.CLOSED}

#: Money that came beside the order's price: it is sent back whatever becomes of the order.
_ODD = frozenset({PaymentState.DUPLICATE, PaymentState.LATE})

_REFUNDABLE = frozenset(status for status, after in trade.TRANSITIONS.items() if status and Status.REFUNDING in after)


def _undecided(payment: Payment) -> bool:
    """A surplus of which nothing has gone back or is about to: refunded or kept, as an operator decides."""
    refused = all(each.state is RefundState.REFUSED for each in payment.refunds)
    return payment.state is PaymentState.SURPLUS and refused


def _let_be(payment: Payment, waiting: Collection[Refund]) -> Payment:
    """Without these of the refunds that wait for somebody's hands."""
    if not waiting:
        return payment
    refunds = (replace(each, state=RefundState.REFUSED) if each in waiting else each for each in payment.refunds)
    return payment.with_refunds(tuple(refunds))


def _of_one(payment: Payment, word: RefundWord) -> Payment:
    """What is said of one refund: of ours, or of one that somebody made at the provider."""
    known = payment.meant(word)
    if known is None:
        there = word.state is RefundState.DONE and word.total is None and word.amount is not None
        return _made_there(payment, word.amount, word.provider_ref) if there else payment
    if known.state is RefundState.DONE or known.state is word.state:
        return payment
    if known.state not in UNDER_WAY and (word.state is not RefundState.DONE or known.amount.minor > payment.not_gone):
        return payment
    # Who asked for it may not hear any more that it was refused: it is somebody's task then.
    state = RefundState.BY_HAND if word.state is RefundState.REFUSED else word.state
    told = replace(known, state=state, provider_ref=word.provider_ref or known.provider_ref)
    return payment.with_refunds(tuple(told if each is known else each for each in payment.refunds))


def _of_all(payment: Payment, word: RefundWord) -> Payment:
    """What is said of all that has gone back: ours are in it, or none of ours can be, or time will tell."""
    if word.total is None or word.state is not RefundState.DONE:
        return payment
    if payment.paid is None or word.total.currency != payment.paid.currency:
        return payment
    news = word.total.minor - (payment.paid.minor - payment.not_gone)
    ours = [each.amount.minor for each in payment.under_way]
    if news >= sum(ours):
        done = (replace(each, state=RefundState.DONE) if each.state in UNDER_WAY else each for each in payment.refunds)
        payment, news = payment.with_refunds(tuple(done)), news - sum(ours)
    elif not ours or news >= min(ours):
        return payment
    return _made_there(payment, replace(word.total, minor=news), word.provider_ref)


def _made_there(payment: Payment, amount: Money | None, provider_ref: str | None) -> Payment:
    """With a refund that none of ours explains: somebody made it at the provider."""
    if amount is None or payment.paid is None or amount.currency != payment.paid.currency:
        return payment
    minor = min(amount.minor, payment.not_gone)
    if minor <= 0:
        return payment
    made = payment.next_refund(replace(amount, minor=minor), RefundState.DONE, PROVIDER.by, provider_ref=provider_ref)
    return payment.with_refunds((*payment.refunds, made))
