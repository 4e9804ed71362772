"""The buyer has the cards and is content: the trade is complete before its after-sale window is over."""

from __future__ import annotations

from dataclasses import dataclass

from cardshop.domain.errors import NotRevealable
from cardshop.domain.order import Actor, Order
from cardshop.domain.trade import Status
from cardshop.ports import Clock, Orders, Workflow
from cardshop.usecases.change import change


@dataclass(frozen=True, slots=True)
class ConfirmReceipt:
    orders: Orders
    workflow: Workflow
    clock: Clock

    def __call__(self, trade_id: str, actor: Actor) -> Order:
        """The completed order. NotRevealable before it is delivered."""

        def decide(order: Order) -> Order:
            if order.status is Status.COMPLETED:
                return order
            if order.status is not Status.DELIVERED:
                raise NotRevealable(f"the order is {order.status}")
            return order.completed(self.clock(), actor)

        order = change(self.orders, trade_id, decide)
        if order.task_token is not None:  # else the machine comes to wait, finds it complete and ends
            self.workflow.succeed(order.task_token)
        return order
