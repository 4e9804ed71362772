"""What the suite of cases needs to know of a channel: one subject a row of the grid.

A subject sets the simulated provider and the shop's own channel up, and says how a right notice of that protocol is
bent. Notices come from the provider's side (`Booth.notice`), never from the code that reads them.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import replace
from functools import cached_property
from typing import ClassVar
from urllib.parse import parse_qsl, urlsplit

from cardshop.adapters.payments import provider
from cardshop.domain.money import Money
from cardshop.domain.payment import Channel, Notice
from cardshop.ports import Provider

from simulators import booth
from simulators.booth import Booth, Outgoing, Telling


class Subject(ABC):
    """One channel under test. Made anew for every test, while `booth` is being served."""

    name: str  # the row: "stripe", "alipay precreate", "wechat h5"
    provider_name: str
    currency = "CNY"
    terminal = "pc"
    payer: str | None = None  # the payer's openid, where the terminal has one
    #: What the provider tells by notices: `Booth.notice`'s events.
    events = frozenset({"paid"})
    #: Case → why this protocol has no such thing. An empty cell of the grid needs a reason here.
    absent: ClassVar[dict[str, str]] = {}

    def __init__(self, served: Booth) -> None:
        self.booth = served

    @staticmethod
    @abstractmethod
    def account() -> dict[str, object]:
        """The merchant's account at the provider, keys and all: what the booth is made with. Made once a run."""

    @staticmethod
    @abstractmethod
    def stand(account: dict[str, object]) -> Booth:
        """The simulated provider with this account."""

    @abstractmethod
    def settings(self) -> dict[str, str]:
        """What an operator saves for this channel, at the booth's address."""

    def written(self, amount: Money) -> str:
        """An amount as the booth's books have it (`Payment.amount`, `received`): the provider's own format."""
        return amount.decimal()

    @abstractmethod
    def forged(self, right: Notice) -> dict[str, Notice]:
        """Notices that are to be refused, by case, made from a right one.

        `bad signature` (of the right form), `missing signature`, `non-ASCII signature`, `wrong algorithm`,
        `unknown key` (a serial, certificate or key nobody configured), `signtest` (a provider's deliberate probe),
        `changed` (one field altered, the signature kept), and any trap of the protocol's own.
        """

    def genuine(self, right: Notice) -> dict[str, Notice]:
        """Other forms that are to be taken, by case: `two signatures`, `rotated key`, `header case`."""
        return {}

    def malformed(self, right: Notice) -> dict[str, Notice]:
        """Rightly signed, and no sense in it: `not text` (not UTF-8), `field twice`, `no payment`, `not an amount`…"""
        return {}

    def signed_at(self, number: str, seconds: float) -> Notice | None:
        """A right notice of `paid`, signed at this moment (Unix seconds); None if the protocol signs no time."""
        return None

    def of_another_account(self, number: str) -> Notice | None:
        """`paid`, validly signed, and naming another merchant (pid, app_id, mchid…); None if it names none."""
        return None

    def in_another_currency(self, number: str) -> Notice | None:
        """`paid` in a currency that was not asked for (the booth's books changed so); None if it names none."""
        return None

    @cached_property
    def provider(self) -> Provider:
        return provider(self.provider_name)

    @cached_property
    def channel(self) -> Channel:
        public, secrets = self.provider.check_settings(self.settings())
        return Channel(self.name.replace(" ", "-"), self.provider_name, public, secrets)

    def notice(self, number: str, event: str = "paid", refund: booth.Refund | None = None) -> Notice:
        """What the provider would send now of this payment, by our number of it, whatever its books say."""
        payment = self.booth.find(number=number)
        assert payment is not None, "not opened there"
        with self.booth.lock:
            outgoing = self.booth.notice(payment, event, Telling(id=f"n-{number}", at=time.time(), refund=refund))
        assert outgoing is not None, f"{self.name} says nothing of {event}"
        return arrived(outgoing)


def arrived(outgoing: Outgoing) -> Notice:
    """The call as the shop's gateway hands it on."""
    query = parse_qsl(urlsplit(outgoing.url).query, keep_blank_values=True)
    headers = {name.lower(): value for name, value in outgoing.headers.items()}
    return Notice(outgoing.method, tuple(query), headers, outgoing.body)


def bent(notice: Notice, *, headers: dict[str, str | None] | None = None, body: bytes | None = None) -> Notice:
    """The notice with other headers (None takes one away) or another body."""
    changed = {**notice.headers, **(headers or {})}
    kept = {name: value for name, value in changed.items() if value is not None}
    return replace(notice, headers=kept, body=notice.body if body is None else body)
