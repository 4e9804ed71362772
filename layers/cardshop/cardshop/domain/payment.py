"""A payment: one try to pay for an order, through one channel, with an id of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from cardshop.domain.money import Money

CHANNEL_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
TRADE_ID_LENGTH = 26
_TRADE_ID = re.compile(rf"[a-z2-7]{{{TRADE_ID_LENGTH}}}")
_PAYMENT_ID = re.compile(rf"[a-z2-7]{{{TRADE_ID_LENGTH}}}[0-9]{{2}}")


class PaymentState(StrEnum):
    OPEN = "open"
    ACCEPTED = "accepted"
    SHORT = "short"
    SURPLUS = "surplus"
    DUPLICATE = "duplicate"
    LATE = "late"
    FAILED = "failed"
    REFUNDING = "refunding"
    REFUNDED = "refunded"
    CHARGED_BACK = "charged_back"


#: States in which no money has been seen yet: a verified payment may still settle it.
UNSETTLED = frozenset({PaymentState.OPEN, PaymentState.FAILED})

#: States of the one payment that pays for the order; `surplus`: it brought more than was asked.
FUNDING = frozenset({PaymentState.ACCEPTED, PaymentState.SURPLUS})


def payment_id(trade_id: str, number: int) -> str:
    """What the provider knows as our order number: trade id + two digits, 28 of `[a-z0-9]` (WeChat allows 32)."""
    return f"{trade_id}{number:02d}"


def is_trade_id(text: str) -> bool:
    return _TRADE_ID.fullmatch(text) is not None


def trade_id_of(payment: str) -> str | None:
    """The trade a payment id belongs to, or None if no trade can have made it."""
    return payment[:TRADE_ID_LENGTH] if _PAYMENT_ID.fullmatch(payment) else None


class RefundState(StrEnum):
    REQUESTED = "requested"  # on record; what the provider makes of it is not known yet
    PENDING = "pending"  # the provider sends it
    DONE = "done"
    REFUSED = "refused"  # nobody sends it (any more)
    BY_HAND = "by_hand"  # the channel cannot, or would not: an operator sends it, or decides to keep it


#: States in which a refund is being made by the provider.
UNDER_WAY = frozenset({RefundState.REQUESTED, RefundState.PENDING})

#: What has not gone yet, the likeliest to go first.
_TO_GO = (RefundState.PENDING, RefundState.REQUESTED, RefundState.BY_HAND)


@dataclass(frozen=True, slots=True)
class Refund:
    """Money of one payment going back. `refund_id` is ours: asked for twice, the provider sends it once."""

    refund_id: str  # 31 of `[a-z0-9]`
    amount: Money
    state: RefundState
    by: str  # shop | operator | provider (somebody sent it back there)
    provider_ref: str | None = None  # the provider's number of this refund
    key: str | None = None  # of the request that asked for it: asked again, it is this refund

    @property
    def came_back(self) -> bool:
        """The provider had taken it, and its money has not gone, or not for good."""
        return self.provider_ref is not None and self.state in {RefundState.REFUSED, RefundState.BY_HAND}

    def is_belied_by(self, word: RefundWord) -> bool:
        """Whether the word says that it has come back, and it was done, or the other way round: one of them is old."""
        if word.state is RefundState.DONE:
            return self.came_back
        its_own = self.provider_ref in {None, word.provider_ref}  # else somebody has sent it by hand since
        return word.state is RefundState.REFUSED and self.state is RefundState.DONE and its_own


@dataclass(frozen=True, slots=True)
class Payment:
    payment_id: str
    channel: str
    amount: Money
    state: PaymentState
    paid: Money | None = None  # what the provider says it received
    provider_ref: str | None = None  # the provider's own number of the money, where refunds go by it
    session_ref: str | None = None  # the provider's number of the page or invoice, where queries go by it
    was: PaymentState | None = None  # the state money came in with, while it is on its way back or gone
    refunds: tuple[Refund, ...] = ()
    kept: bool = False  # an operator decided that its surplus, or an odd payment, stays
    way: str | None = None  # how it is paid (`Terms.ways`), where a payment is bound to that
    won: tuple[str, ...] = ()  # disputes that were decided for the shop, by the provider's numbers

    @property
    def judged(self) -> PaymentState:
        """What its money was to the order when it came."""
        return self.was or self.state

    @property
    def left(self) -> int:
        """Minor units that have neither gone back nor are about to."""
        if self.state is PaymentState.CHARGED_BACK:
            return 0
        return max(0, self.not_gone - sum(each.amount.minor for each in self.under_way))

    @property
    def not_gone(self) -> int:
        """Minor units that have not gone back yet, as far as is known."""
        received = self.paid.minor if self.paid is not None else 0
        return received - sum(each.amount.minor for each in self.refunds if each.state is RefundState.DONE)

    @property
    def under_way(self) -> list[Refund]:
        return [refund for refund in self.refunds if refund.state in UNDER_WAY]

    @property
    def by_hand(self) -> list[Refund]:
        return [refund for refund in self.refunds if refund.state is RefundState.BY_HAND]

    def meant(self, word: RefundWord) -> Refund | None:
        """Which of its refunds: our number of it decides; the provider's may be that of the payment."""
        ours = [each for each in self.refunds if each.refund_id == word.refund_id]
        named = [each for each in self.refunds if each.provider_ref is not None]
        return next(iter(ours or [each for each in named if each.provider_ref == word.provider_ref]), None)

    def with_refunds(self, refunds: tuple[Refund, ...]) -> Payment:
        """Refunding while one is under way, refunded when all has gone, else what it was.

        What has gone is certain. Of the rest, what there is no money left for is refused: nobody is to send it.
        """
        changed = replace(self, refunds=refunds)
        changed = replace(changed, refunds=changed._affordable())
        if self.state is PaymentState.CHARGED_BACK:
            return changed
        if changed.under_way:
            return replace(changed, state=PaymentState.REFUNDING, was=self.judged)
        if changed.left == 0 and any(each.state is RefundState.DONE for each in refunds):
            return replace(changed, state=PaymentState.REFUNDED, was=self.judged)
        return replace(changed, state=self.judged, was=None)

    def _affordable(self) -> tuple[Refund, ...]:
        room, refused = self.not_gone, set[str]()
        for state in _TO_GO:
            for refund in self.refunds:
                if refund.state is not state:
                    continue
                if refund.amount.minor > room:
                    refused.add(refund.refund_id)
                else:
                    room -= refund.amount.minor
        return tuple(
            replace(each, state=RefundState.REFUSED) if each.refund_id in refused else each for each in self.refunds
        )

    def next_refund(
        self, amount: Money, state: RefundState, by: str, *, provider_ref: str | None = None, key: str | None = None
    ) -> Refund:
        return Refund(f"{self.payment_id}r{len(self.refunds) + 1:02d}", amount, state, by, provider_ref, key)


class EventKind(StrEnum):
    PAID = "paid"  # the money is in
    OPEN = "open"  # nothing to do (yet): waiting, confirming, partly paid
    ASK = "ask"  # something happened that only the provider's answer to a query tells: it is asked
    FAILED = "failed"  # refused, expired or closed for good: no money will come through this payment
    REFUNDED = "refunded"  # money goes back, or would not: `refund` says which
    CHARGED_BACK = "charged_back"  # the payer contests it, or has taken it back
    REINSTATED = "reinstated"  # the contest was decided for the shop


@dataclass(frozen=True, slots=True)
class RefundWord:
    """What a provider says of a refund: by our number of it, by its own, or only by what has gone back in all."""

    state: RefundState
    refund_id: str | None = None  # ours, if the provider names it
    provider_ref: str | None = None
    amount: Money | None = None  # of this refund
    total: Money | None = None  # of everything of the payment that has gone back


@dataclass(frozen=True, slots=True)
class PaymentEvent:
    """What a provider says of one payment, in a notice or an answer to a query.

    `payment_id` None: the notice names only `provider_ref`; `Provider.trace` finds out. `amount`: what was received
    (of `PAID`), None if the provider named none. `account`: as `Provider.account` writes it, None if none is named.
    """

    payment_id: str | None
    kind: EventKind
    amount: Money | None = None
    provider_ref: str | None = None
    account: str | None = None
    refund: RefundWord | None = None
    dispute: str | None = None  # the provider's number of one that is opened, or was decided for the shop

    @property
    def paid(self) -> bool:
        return self.kind is EventKind.PAID


class Refunds(StrEnum):
    """What a channel can send back by itself."""

    NONE = "none"
    WHOLE = "whole"
    PARTIAL = "partial"


TERMINALS = frozenset({"pc", "mobile", "miniapp", "api"})


@dataclass(frozen=True, slots=True)
class Terms:
    """What a channel can take and do: checked at checkout, and what the ladder's next step depends on."""

    amounts: Mapping[str, tuple[int, int]]  # currency → least and most, minor units
    refunds: Refunds
    closes: bool = True  # an open payment can be closed there, so that nobody can pay it any more
    weak: bool = False  # a notice's signature proves too little: the provider is asked before anything is delivered
    terminals: frozenset[str] = TERMINALS
    payer_on: frozenset[str] = frozenset()  # terminals on which the payer's openid is needed
    ways: Mapping[str, str] = field(default_factory=dict)  # terminal → its way of paying, if a payment is bound to one


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """What a provider needs to open a payment. `name` is built from the catalogue, never from the buyer's words."""

    payment_id: str
    amount: Money
    name: str
    notify_url: str
    return_url: str
    terminal: str  # pc | mobile | miniapp | api
    expires_at: int  # milliseconds: the order's window ends then
    session_ref: str | None = None  # of an earlier, equal request that the provider answered
    payer: str | None = None  # the payer's openid at the provider, where the terminal knows it
    address: str | None = None  # the buyer's, from the gateway


@dataclass(frozen=True, slots=True)
class PaymentSession:
    """How the buyer pays: exactly one of the four ways is set."""

    redirect_url: str | None = None
    qr_code: str | None = None
    form: str | None = None  # HTML that posts itself
    app: Mapping[str, str] | None = None  # parameters for the wallet's own call in its app
    session_ref: str | None = None  # see `Payment.session_ref`


@dataclass(frozen=True, slots=True)
class Notice:
    """A provider's call as it came in: nothing decoded but the query, nothing trusted."""

    method: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]  # names in lower case
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What a provider takes for "got it"."""

    body: str = "success"
    content_type: str = "text/plain"
    status: int = 200


@dataclass(frozen=True, slots=True)
class Channel:
    """A configured account at a provider. `secrets` never leave the process that read them."""

    name: str
    provider: str
    settings: dict[str, str]
    secrets: dict[str, str] = field(repr=False)
    offered: bool = True  # buyers may choose it; if not, payments that are open go on


@dataclass(frozen=True, slots=True)
class Offer:
    """A channel as a buyer may know and choose it: nothing of its account."""

    channel: str
    provider: str
    terminals: tuple[str, ...]
    ways: tuple[str, ...]  # see `Terms`
    currencies: tuple[str, ...]
    title: str | None = None  # the operator's word for it

    @classmethod
    def of(cls, channel: Channel, terms: Terms) -> Offer:
        """Only a mini program knows its payer's openid: where another terminal would need it, it cannot be chosen."""
        terminals = terms.terminals - (terms.payer_on - {"miniapp"})
        ways = {way for terminal, way in terms.ways.items() if terminal in terminals}
        return cls(
            channel.name, channel.provider, tuple(sorted(terminals)), tuple(sorted(ways)), tuple(sorted(terms.amounts))
        )
