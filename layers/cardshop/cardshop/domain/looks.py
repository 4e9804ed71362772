"""When `reconcile` must look at a trade again: its asks at the provider, and its care that something drives the trade.

A look costs some two dollars a million (a read, a write, two index entries), so an order has few: while it can be paid
each is four times later than the one before, one comes when its window should be over, and two after that for money
that came late. All times are milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardshop.domain.trade import Status

if TYPE_CHECKING:
    from cardshop.domain.order import Order

_SECOND = 1000
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR

SOON = 5 * _MINUTE
#: After a window's end, for the machine to end it itself.
GRACE = 30 * _SECOND
#: After the last change, for money that comes late.
_LATE_LOOKS = (_HOUR, _DAY)
_FARTHER = 4


def after_closing(at: int) -> int:
    return at + _LATE_LOOKS[0]


def after_look(order: Order, now: int) -> int | None:
    """When to look again, now that all was looked at and is as it is; never for a trade that is over."""
    if order.owed or any(payment.under_way for payment in order.payments):
        return now + SOON
    next_look = _of_trade(order, now)
    if order.tasks:
        return min(now + _DAY, next_look or now + _DAY)
    return next_look


def _of_trade(order: Order, now: int) -> int | None:
    match order.status:
        case Status.PENDING_PAYMENT:
            end = order.expires_at + GRACE
            later = order.created_at + _FARTHER * max(now - order.created_at, _SECOND)
            return min(later, end) if now < end else now + SOON
        case Status.DELIVERED:
            until = order.after_sale_until
            if until is None or until <= now:
                return now + SOON
            return min(until, _for_late_money(order, now) or until)
        case Status.CLOSED | Status.COMPLETED | Status.REFUNDED:
            return _for_late_money(order, now)
    return now + SOON


def _for_late_money(order: Order, now: int) -> int | None:
    """The next of the few looks for the money of payments that are still open."""
    late = (order.last_change.at + each for each in _LATE_LOOKS) if order.unsettled else ()
    return next((each for each in late if each > now), None)
