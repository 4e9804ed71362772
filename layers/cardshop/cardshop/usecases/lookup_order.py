"""An order by its id and query password, for a buyer who has lost its token.

Whether there is no such order, no password on it, or another: the way is the same, one scrypt and one answer. Each try
counts before it is made, against the order's id as it was given, and the wait between tries doubles.
"""

from __future__ import annotations

from dataclasses import dataclass

from cardshop.domain import passwords
from cardshop.domain.card import text_hmac
from cardshop.domain.errors import WrongCredentials
from cardshop.domain.order import Order
from cardshop.domain.payment import is_trade_id
from cardshop.ports import AttemptBook, Clock, Orders
from cardshop.usecases.count_try import count_try

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
        count_try(self.attempts, subject, self.clock())
        order = self.orders.find(trade_id if is_trade_id(trade_id) else _NOBODY)
        recorded = order.password if order and order.password else _NO_PASSWORD
        if not passwords.matches(password, recorded) or order is None:
            raise WrongCredentials("no order with this number and password")
        self.attempts.clear(subject)
        return order
