"""The buyer does not want it any more: the payment has failed, and the machine closes the trade."""

from __future__ import annotations

from dataclasses import dataclass

from cardshop.domain.errors import NotCancellable
from cardshop.domain.order import Actor, Order
from cardshop.domain.trade import Status
from cardshop.ports import Clock, Orders, Workflow
from cardshop.usecases.change import change

PAYMENT_FAILED = "PaymentFailed"  # what the waiting machine is told, and catches


@dataclass(frozen=True, slots=True)
class CancelOrder:
    orders: Orders
    workflow: Workflow
    clock: Clock

    def __call__(self, trade_id: str, actor: Actor) -> Order:
        """The order, cancelled now or before. NotCancellable once money is in."""

        def decide(order: Order) -> Order:
            if order.status in {Status.PAYMENT_FAILED, Status.CLOSED}:
                return order
            if order.status is not Status.PENDING_PAYMENT:
                raise NotCancellable(f"the order is {order.status}")
            return order.failed(self.clock(), actor)

        order = change(self.orders, trade_id, decide)
        end_waiting(order, self.workflow)
        return order


def end_waiting(order: Order, workflow: Workflow) -> None:
    """Let the machine close a trade whose payment has failed."""
    if order.status is Status.PAYMENT_FAILED and not (
        order.task_token is not None and workflow.fail(order.task_token, PAYMENT_FAILED)
    ):
        workflow.take_over(order.trade_id)
