"""A trade's life: the one table of states, the only ways between them, and what drives each.

The order item decides (every change is a conditional write that names the state before); the Step Functions
machine drives. `tests/statemachines` holds `statemachines/trade.asl.json` against `MACHINE_STATES`.
"""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    PENDING_PAYMENT = "pending_payment"  # 待支付
    PAID = "paid"  # 支付成功
    PAYMENT_FAILED = "payment_failed"  # 支付失败
    AWAITING_STOCK = "awaiting_stock"  # 待补货
    DELIVERED = "delivered"  # 发货成功
    COMPLETED = "completed"  # 交易完成
    CLOSED = "closed"  # 交易关闭
    ON_HOLD = "on_hold"  # 风控挂起
    REFUNDING = "refunding"  # 退款中
    REFUNDED = "refunded"  # 已退款


_S = Status

#: state → the states it may go to. `None` is "no order yet".
TRANSITIONS: dict[Status | None, frozenset[Status]] = {
    None: frozenset({_S.PENDING_PAYMENT}),
    _S.PENDING_PAYMENT: frozenset({_S.PAID, _S.PAYMENT_FAILED, _S.CLOSED, _S.ON_HOLD}),
    _S.PAYMENT_FAILED: frozenset({_S.CLOSED}),
    _S.PAID: frozenset({_S.DELIVERED, _S.AWAITING_STOCK, _S.ON_HOLD, _S.REFUNDING}),
    _S.CLOSED: frozenset({_S.PAID, _S.AWAITING_STOCK, _S.REFUNDING}),
    _S.AWAITING_STOCK: frozenset({_S.DELIVERED, _S.REFUNDING}),
    _S.DELIVERED: frozenset({_S.COMPLETED, _S.REFUNDING}),
    _S.COMPLETED: frozenset({_S.REFUNDING}),
    _S.ON_HOLD: frozenset({_S.PENDING_PAYMENT, _S.PAID, _S.REFUNDING}),
    _S.REFUNDING: frozenset(
        {_S.REFUNDED, _S.PAID, _S.AWAITING_STOCK, _S.DELIVERED, _S.COMPLETED, _S.ON_HOLD, _S.CLOSED}
    ),
    _S.REFUNDED: frozenset(),
}

#: machine state → the order states it waits in (for the three that wait) or works on.
MACHINE_STATES: dict[str, frozenset[Status]] = {
    "AwaitPayment": frozenset({_S.PENDING_PAYMENT}),
    "DeliverCards": frozenset({_S.PAID}),
    "AwaitStock": frozenset({_S.AWAITING_STOCK}),
    "AwaitReceipt": frozenset({_S.DELIVERED}),
    "CompleteTrade": frozenset({_S.DELIVERED}),
    "CloseTrade": frozenset({_S.PENDING_PAYMENT, _S.PAYMENT_FAILED}),
}

#: The cards named on the order are set aside or given in these states; in the others it names none that is its own.
HOLDS_CARDS = frozenset({_S.PENDING_PAYMENT, _S.PAYMENT_FAILED, _S.PAID, _S.DELIVERED, _S.COMPLETED, _S.ON_HOLD})

#: Cards are set aside and no money is in: it counts among its buyer's holds, and can be closed.
UNPAID = frozenset({_S.PENDING_PAYMENT, _S.PAYMENT_FAILED})

#: The cards are the buyer's to read.
REVEALABLE = frozenset({_S.DELIVERED, _S.COMPLETED})

#: An order with an accepted payment must be in one of these: money always has a state and a next step.
SETTLED_OR_MOVING = frozenset(
    {_S.PAID, _S.DELIVERED, _S.COMPLETED, _S.AWAITING_STOCK, _S.ON_HOLD, _S.REFUNDING, _S.REFUNDED}
)


class ForbiddenTransition(Exception):
    """A bug in the shop, not in the request: no use case may ask for it."""


def check(before: Status | None, after: Status) -> None:
    if after not in TRANSITIONS[before]:
        raise ForbiddenTransition(f"{before} -> {after}")
