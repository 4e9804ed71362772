"""What the use cases need from outside. Adapters implement these; tests may too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cardshop.domain.card import Card, Pool
from cardshop.domain.connection import Connection
from cardshop.domain.errors import NotRefundable
from cardshop.domain.holding import Holding
from cardshop.domain.money import Money
from cardshop.domain.order import Change, Order
from cardshop.domain.payment import (
    Channel,
    Notice,
    Offer,
    Payment,
    PaymentEvent,
    PaymentRequest,
    PaymentSession,
    Refund,
    RefundWord,
    Reply,
    Terms,
)
from cardshop.domain.product import Batch, Listed, Product


class CardTaken(Exception):
    """Somebody else claimed one of the cards first; nothing was written."""


class OrderExists(Exception):
    """An order with this trade id is there already; nothing was written."""


class Orders(Protocol):
    def find(self, trade_id: str) -> Order | None:
        """The order as it is now (strongly consistent)."""

    def place(self, order: Order, holds: Mapping[str, str]) -> None:
        """One transaction: the order's cards leave the pool, the order is written with whose holds it is.

        `holds`: HMACs by subject (`address`, `device`, `contact`). CardTaken, OrderExists or Changed: nothing written.
        """

    def record(self, before: Order, after: Order) -> Order:
        """Write the difference if nobody changed the order meanwhile (else `Changed`); answers it as it is stored.

        That is with the task token of this very moment: the machine may have written one since `before` was read,
        which is no change, and whoever wakes the machine must not miss it.

        Cards no longer named go back to their pools in the same transaction; cards newly named leave theirs
        (`CardTaken` if one is gone).
        """

    def holds(self, subject: str, value: str, limit: int) -> list[int]:
        """When the unpaid orders of this address, device or contact expire (ms), the first `limit` of them."""

    def due(self, until: int) -> Iterator[str]:
        """Trades to be looked at by then (ms). An index answers: one that has just changed may be missing or over."""

    def note(self, order: Order) -> None:
        """Write `due_at` and `lacking`, if the order has not changed meanwhile. It is no change of the order."""

    def note_session(self, order: Order, payment: Payment) -> None:
        """Write the payment's `session_ref`, whatever else happens to the order. It is no change of the order."""

    def awaiting(self, sku: str) -> Iterator[str]:
        """Trades that await stock of this SKU, the oldest first (an index answers)."""

    def under_way(self, limit: int, after: str | None) -> tuple[list[Order], str | None]:
        """Orders of trades that are not over, some at a time, and where to go on."""


class CardPool(Protocol):
    def look(self, pool: Pool, wanted: int, *, consistent: bool) -> list[Card]:
        """Up to `wanted` cards for sale, read on from a random place and around."""

    def count(self, pool: Pool) -> int:
        """Cards in the pool now (strongly consistent)."""


class Catalogue(Protocol):
    def find(self, sku: str, *, consistent: bool = False) -> Product | None: ...

    def on_sale(self) -> list[Product]:
        """Every product that is on sale, by SKU."""

    def descriptions(self) -> dict[str, str]:
        """Of every product that has one, by SKU."""

    def description(self, sku: str) -> str | None: ...

    def save(self, product: Product, description: str | None = None) -> None:
        """Description, then name, category, price and status; the stock is left as it is."""

    def everything(self) -> list[Product]:
        """Every product, hidden ones too, by SKU."""

    def batch(self, sku: str, batch: str) -> Batch | None:
        """As it is now (strongly consistent)."""

    def batches(self, sku: str) -> list[Batch]:
        """Every batch of the product, the oldest first."""

    def begin_batch(self, batch: Batch) -> None:
        """Note an import before its first card; does nothing if it is noted already."""

    def advance_batch(self, batch: Batch) -> None:
        """Note how many cards are in so far; does nothing once the import has ended."""

    def drop_batch(self, batch: Batch) -> None:
        """Forget an import that added nothing; does nothing once the import has ended."""

    def put_on_sale(self, batch: Batch, counts: tuple[int, ...]) -> bool:
        """One transaction: the batch, as read before, is on sale and listed on its product. False if it had changed."""

    def withdraw(self, batch: Batch) -> bool:
        """One transaction: the batch, on sale before, is withdrawn and not listed any more. False if it had changed."""

    def counted(self, product: Product, *listed: Listed) -> None:
        """List these batches' counts on the product, or drop one at zero, in one write; `Changed` if another count
        came in between.
        """


class Holdings(Protocol):
    """Which trade has how many cards of which batch: a ledger derived from the orders, in no particular order."""

    def note(self, holdings: Sequence[Holding]) -> None:
        """Each if none newer of its trade and pool is there already; writing one again changes nothing."""

    def of(self, batch: Batch) -> Iterator[Holding]:
        """Whose this batch's cards are, apart from those for sale; a moment behind the orders."""


@dataclass(frozen=True, slots=True)
class SealedCard:
    card_id: str
    pool: Pool
    key_id: str
    sealed: bytes


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key as KMS wrapped it, bound to its SKU and batch by the encryption context."""

    key_id: str
    sku: str
    batch: str
    wrapped: bytes


class SealedCards(Protocol):
    def add_key(self, key: WrappedKey) -> None: ...

    def drop_key(self, key: WrappedKey) -> None:
        """A key that sealed nothing."""

    def add(self, cards: Sequence[SealedCard]) -> list[str]:
        """Each card sealed and put in its pool, both or neither. Answers the ids that other batches hold already."""

    def get(self, card_ids: Iterable[str]) -> dict[str, SealedCard]: ...

    def keys(self, key_ids: Iterable[str]) -> dict[str, WrappedKey]: ...


class Sealer(Protocol):
    def new_key(self, sku: str, batch: str) -> tuple[WrappedKey, bytes]:
        """A fresh data key, wrapped and plain. The plain one is never stored."""

    def seal(self, key: bytes, sku: str, card_id: str, code: str) -> bytes: ...


class Opener(Protocol):
    def unwrap(self, key: WrappedKey) -> bytes: ...

    def open(self, key: bytes, sku: str, card_id: str, sealed: bytes) -> str: ...


@dataclass(frozen=True, slots=True)
class Incident:
    """Something about a payment that a person should see; the order itself is left as it is."""

    trade_id: str
    kind: str  # wrong_account | wrong_channel | wrong_amount | denied | …
    channel: str
    payment_id: str
    at: int
    notice_digest: str  # the same notice again is the same incident
    detail: str


class Timeline(Protocol):
    def append(self, trade_id: str, changes: Sequence[Change]) -> None:
        """Immutable entries; writing one again changes nothing."""

    def of(self, trade_id: str) -> list[Change]: ...

    def note(self, incident: Incident) -> None: ...

    def incidents(self, trade_id: str) -> list[Incident]: ...


@dataclass(frozen=True, slots=True)
class PublicUrls:
    """Where the shop is reached from outside, without a slash at the end."""

    api: str  # not behind the pages' distribution: providers' notices depend on nothing that they need not
    pages: str


class Channels(Protocol):
    def find(self, name: str) -> Channel | None: ...


class ChannelStore(Protocol):
    def save(self, channel: Channel, offer: Offer) -> None:
        """Secrets to their store first, then the settings and what buyers see of it, in one write.

        Its title, and whether it is offered, stay as they are: a new one is offered.
        """

    def offer(self, name: str, *, offered: bool, title: str | None) -> bool:
        """Whether buyers may choose it, and as what. False if there is no such channel."""


@dataclass(frozen=True, slots=True)
class QueuedNotice:
    """A verified notice as the provider sent it, with the channel it came through and when (ms)."""

    channel: str
    notice: Notice
    received_at: int


class Provider(Protocol):
    """One payment provider's protocol. Every call out: Unavailable if the provider does not answer, or makes no sense.

    A provider subclasses this, so that what it cannot do is said here once.
    """

    name: str

    def check_settings(self, settings: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """(public settings, secrets); InvalidRequest naming the bad field."""
        ...

    def terms(self, channel: Channel) -> Terms:
        """What this channel takes and can do."""
        ...

    def account(self, channel: Channel) -> str:
        """The merchant account as its notices name it."""
        ...

    def create_payment(self, channel: Channel, request: PaymentRequest) -> PaymentSession:
        """Open it there. The same request again opens it once, and answers how it is paid."""
        ...

    def read_notice(self, channel: Channel, notice: Notice, received_at: int) -> list[PaymentEvent]:
        """Verify, then read; no call out but for a certificate. `received_at` in milliseconds.

        InvalidNotice for anything that is not the provider's own word, StaleNotice if it is old or of the future.
        """
        ...

    def trace(self, channel: Channel, event: PaymentEvent) -> str | None:
        """The payment id of an event that names only the provider's number."""
        del channel, event
        return None

    def query_payment(self, channel: Channel, payment: Payment) -> PaymentEvent:
        """PAID only with the money in. What the buyer has approved is taken, where that is left to the shop."""
        ...

    def close_payment(self, channel: Channel, payment: Payment) -> PaymentEvent:
        """Close it there, where the protocol can: nobody can pay it any more. Answers what the provider says then."""
        return self.query_payment(channel, payment)

    def refund(self, channel: Channel, payment: Payment, refund: Refund) -> RefundWord:
        """Send money back. The same `refund_id` again sends nothing again. REFUSED if the provider will not."""
        raise NotRefundable(f"{self.name} sends nothing back")

    def query_refund(self, channel: Channel, payment: Payment, refund: Refund) -> RefundWord:
        """What became of it. Where the protocol has no such query, asking for the refund again answers it."""
        return self.refund(channel, payment, refund)

    def query_total(self, channel: Channel, payment: Payment) -> Money | None:
        """All of it that has gone back, whoever sent it. None where a notice always names the refund that it is of."""
        del channel, payment
        return None

    def acknowledge(self) -> Reply:
        """The provider's own word for "got it"."""
        return Reply()


class NoticeQueue(Protocol):
    def put(self, notice: QueuedNotice, trade_id: str) -> None: ...


class Workflow(Protocol):
    def start(self, trade_id: str) -> None:
        """Start the trade's execution; starting it twice is one start."""

    def take_over(self, trade_id: str, *, anew: bool = False) -> None:
        """See that an execution runs: if the trade's have all ended (somebody stopped one), start one more.

        `anew`: start one more even beside one that runs; two drive a trade as one does.
        """

    def succeed(self, task_token: str) -> bool:
        """Let the waiting state go on. False if no state waits with this token any more."""

    def fail(self, task_token: str, error: str) -> bool:
        """Let the waiting state fail with this error, which it catches. False as above."""

    def stopped(self, since: int) -> Iterator[str]:
        """Trades with an execution that somebody stopped, or that failed, since then (ms). Each may be named twice."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """Tries to look an order up by its password. `count` since the last success; none is let in before `not_before`."""

    count: int
    not_before: int  # milliseconds


class AttemptBook(Protocol):
    def of(self, subject: str) -> Attempts: ...

    def enter(self, subject: str, seen: Attempts, now: Attempts) -> bool:
        """Note one more, if nobody did since `seen`."""

    def clear(self, subject: str) -> None: ...


class Connections(Protocol):
    """Places at feeds: open connections' and tickets'. `now` in milliseconds: what is over then is not there."""

    def save(self, connection: Connection) -> None: ...

    def remove(self, connection: Connection) -> bool:
        """Whether it was there until now: of several who remove it, one is told so."""

    def of(self, feed: str, now: int) -> list[Connection]:
        """Every place at this feed (strongly consistent)."""

    def listening(self, feed: str) -> list[Connection]:
        """Its connections; it takes as long as there are those, however many tickets were asked for.

        Over or not: whoever leaves one out by a clock that is ahead makes it deaf.
        """

    def at(self, address: str, now: int) -> list[Connection]:
        """Places of this address (an HMAC). An index answers: one that has just changed may be missing or over."""

    def find(self, name: str) -> Connection | None:
        """Which place it is, without when it ends. An index answers, as above."""


class ConnectionGone(Exception):
    """The gateway knows no such connection: it has ended, or its handshake has not."""

    def __init__(self, at: int) -> None:
        """`at`: milliseconds, by the gateway's clock; 0 if it did not say."""
        super().__init__()
        self.at = at


class Line(Protocol):
    """The way to whoever is connected."""

    def send(self, connection_id: str, message: str) -> None:
        """ConnectionGone; Unavailable if it was not taken, or nobody can say."""

    def close(self, connection_id: str) -> None:
        """Its terminal is told, and comes back. ConnectionGone; Unavailable."""


@dataclass(frozen=True, slots=True)
class Handoff:
    """An order handed over to whoever brings the code of this digest, once."""

    digest: str
    trade_id: str
    not_after: int  # milliseconds
    session_until: int  # seconds: when the session ends that is handed on


class Handoffs(Protocol):
    def put(self, handoff: Handoff) -> None: ...

    def take(self, digest: str, now: int) -> Handoff | None:
        """The one of this digest, for the first who asks; None if it is unknown, taken or over."""


class Clock(Protocol):
    def __call__(self) -> int:
        """Milliseconds since the epoch, UTC."""
