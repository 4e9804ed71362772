"""A payment: one try to pay for an order, through one channel, with an id of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Payment:
    payment_id: str
    channel: str
    amount: Money
    state: PaymentState
    paid: Money | None = None  # what the provider says it received
    provider_ref: str | None = None  # the provider's own number


@dataclass(frozen=True, slots=True)
class PaymentEvent:
    """What a provider says of one payment, in a notice or an answer to a query.

    `amount` None: the provider named none. `account`: the merchant account it names, None if it names none.
    """

    payment_id: str
    paid: bool
    amount: Money | None
    provider_ref: str | None
    account: str | None = None


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """What a provider needs to open a payment. `name` is built from the catalogue, never from the buyer's words."""

    payment_id: str
    amount: Money
    name: str
    notify_url: str
    return_url: str
    terminal: str


@dataclass(frozen=True, slots=True)
class PaymentSession:
    """How the buyer pays: exactly one of the three ways is set."""

    redirect_url: str | None = None
    qr_code: str | None = None
    form: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """A provider's call as it came in: nothing decoded but the query, nothing trusted."""

    method: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]  # names in lower case
    body: bytes


@dataclass(frozen=True, slots=True)
class Channel:
    """A configured account at a provider. `secrets` never leave the process that read them."""

    name: str
    provider: str
    settings: dict[str, str]
    secrets: dict[str, str]

    def __repr__(self) -> str:
        return f"Channel({self.name!r}, {self.provider!r})"
