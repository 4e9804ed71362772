"""An order by its id and query password, for a buyer who has lost its token.

Whether there is no such order, no password on it, or another: the way is the same, one scrypt and one answer. Each try
counts before it is made, against the order's id as it was given, and the wait between tries doubles.
"""

from __future__ import annotations

from dataclasses import dataclass

from cardshop.domain import passwords
from cardshop.domain.card import text_hmac
from cardshop.domain.errors import TooManyAttempts, WrongCredentials
from cardshop.domain.order import Order
from cardshop.domain.payment import is_trade_id
from cardshop.ports import AttemptBook, Attempts, Clock, Orders

_FREE = 3  # tries without a wait between them
_MAX_WAIT = 900_000  # milliseconds
_NOBODY = "a" * 26  # an id that no order has is read all the same

#: A record of no password: it costs the same to compare with.
_NO_PASSWORD = passwords.impossible()


@dataclass(frozen=True, slots=True)
class LookupOrder:
    orders: Orders
    attempts: AttemptBook
    secret: bytes
    clock: Clock

    def __call__(self, trade_id: str, password: str) -> Order:
        """The order. WrongCredentials, or TooManyAttempts with the seconds to wait."""
        subject = text_hmac(self.secret, "lookup", trade_id)
        self._enter(subject)
        order = self.orders.find(trade_id if is_trade_id(trade_id) else _NOBODY)
        recorded = order.password if order and order.password else _NO_PASSWORD
        if not passwords.matches(password, recorded) or order is None:
            raise WrongCredentials("no order with this number and password")
        self.attempts.clear(subject)
        return order

    def _enter(self, subject: str) -> None:
        seen = self.attempts.of(subject)
        now = self.clock()
        if seen.not_before > now:
            raise TooManyAttempts("wait before the next try", retry_after=-(-(seen.not_before - now) // 1000))
        count = seen.count + 1
        wait = min(_MAX_WAIT, 1000 * 2 ** (count - _FREE)) if count >= _FREE else 0
        if not self.attempts.enter(subject, seen, Attempts(count, now + wait)):
            raise TooManyAttempts("another try is being made", retry_after=1)
