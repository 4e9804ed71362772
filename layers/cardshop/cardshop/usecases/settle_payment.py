"""What a provider confirmed meets its order, whatever state the order is in and whatever happens to it meanwhile.

Money for an order that can be paid makes it paid. Money for one that is closed claims new cards in the same
transaction, or puts it in the row of those that await stock. The rest is recorded on the order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from cardshop.domain.errors import Busy, Changed, NotFound
from cardshop.domain.order import PROVIDER, Actor, Order
from cardshop.domain.payment import UNSETTLED, Payment, PaymentEvent, PaymentState, trade_id_of
from cardshop.domain.trade import Status
from cardshop.ports import CardPool, CardTaken, Catalogue, Clock, Orders, Workflow
from cardshop.usecases.pick_cards import TooFew, on_sale, pick

_ATTEMPTS = 25  # each lost one means that another change or claim was written


class UnknownPayment(NotFound):
    """No order of ours has this payment. The order may be a moment younger than its notice: worth another try."""


@dataclass(frozen=True, slots=True)
class Recorded:
    order: Order  # as it is stored
    new: bool  # whether this confirmation was new to it
    late: bool  # whether it was closed before


@dataclass(frozen=True, slots=True)
class RecordPayment:
    """The order's part of it: for the machine itself, which needs no waking."""

    orders: Orders
    pool: CardPool
    catalogue: Catalogue
    clock: Clock

    def __call__(self, said: PaymentEvent, read: Order | None = None, actor: Actor = PROVIDER) -> Recorded:
        """UnknownPayment if no order of ours has it. The same confirmation again changes nothing.

        `read`: the order as the caller has just read it, to begin with. `actor`: who says that the money is in.
        """
        payment_id = said.payment_id or ""
        trade_id = trade_id_of(payment_id)
        for attempt in range(_ATTEMPTS):
            order = read if attempt == 0 and read else self.orders.find(trade_id) if trade_id else None
            payment = order.payment(payment_id) if order else None
            if order is None or payment is None:
                raise UnknownPayment("no order of ours has this payment")
            if payment.state not in UNSETTLED:
                return Recorded(order, new=False, late=False)
            after = self._after(order, payment, said, actor)
            try:
                stored = self.orders.record(order, after)
            except (Changed, CardTaken):
                continue
            if after.unsettled != order.unsettled:  # else it was closed first, and is now paid late
                return Recorded(stored, new=True, late=order.status is Status.CLOSED)
        raise Busy("the order kept changing")

    def _after(self, order: Order, payment: Payment, said: PaymentEvent, actor: Actor) -> Order:
        """The order after this payment; one whose payment failed is closed before anything else."""
        assert said.amount is not None
        settle = partial(order.settled, payment.payment_id, said.amount, said.provider_ref, self.clock(), actor=actor)
        after = settle()
        judged = after.payment(payment.payment_id)
        if judged is None or judged.state is not PaymentState.LATE:
            return after
        if order.status is Status.PAYMENT_FAILED:
            return order.closed(self.clock(), PROVIDER)
        if order.status is not Status.CLOSED:
            return after
        try:
            cards, _ = pick(self.pool, order.wanted, on_sale(self.catalogue, order.wanted), consistent=True)
        except TooFew as few:
            return settle(lacking=few.sku)
        return settle(cards=tuple(cards))


@dataclass(frozen=True, slots=True)
class SettlePayment:
    """Recorded on the order, and the machine woken."""

    record: RecordPayment
    workflow: Workflow

    def __call__(self, said: PaymentEvent, read: Order | None = None, actor: Actor = PROVIDER) -> tuple[Order, bool]:
        """(the order as it is stored, whether this confirmation was new to it). The rest as for `RecordPayment`."""
        recorded = self.record(said, read, actor)
        self.wake(recorded.order, anew=recorded.late)
        return recorded.order, recorded.new

    def wake(self, order: Order, *, anew: bool = False) -> None:
        """Let the machine go on with money that is in, if nobody has yet.

        Without a token its first state has not begun, and will find the order paid. If nothing waits with the token
        any more, it is on its way. Either way it is enough that an execution runs: so it is for an order that awaits
        stock, whose token says that it has come. `anew`: the execution that runs may be the one that has just closed
        the order, and about to end.
        """
        if not order.funded or order.status not in {Status.PAID, Status.AWAITING_STOCK}:
            return
        paid = order.status is Status.PAID
        if not (paid and order.task_token is not None and self.workflow.succeed(order.task_token)):
            self.workflow.take_over(order.trade_id, anew=anew)
