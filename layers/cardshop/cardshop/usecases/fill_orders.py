"""Cards for orders that were paid when there were none: the oldest first, before anybody else can buy them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cardshop.domain.card import Pool
from cardshop.domain.errors import Busy, Changed
from cardshop.domain.order import Order
from cardshop.domain.trade import Status
from cardshop.ports import CardPool, CardTaken, Catalogue, Clock, Orders, Workflow
from cardshop.usecases.pick_cards import TooFew, on_sale, pick

_ATTEMPTS = 25  # each lost one means that another change or claim was written

#: Pools that are not on sale yet, with how many cards they hold.
Unlisted = Sequence[tuple[Pool, int]]


@dataclass(frozen=True, slots=True)
class FillOrders:
    orders: Orders
    pool: CardPool
    catalogue: Catalogue
    workflow: Workflow
    after_sale_ms: int
    clock: Clock

    def __call__(self, sku: str, unlisted: Unlisted = ()) -> list[str]:
        """The trades that got their cards. One that wants more than there is does not hold up those behind it."""
        return [trade_id for trade_id in self.orders.awaiting(sku) if self.one(trade_id, unlisted)]

    def finds(self, order: Order) -> bool:
        """Whether there are cards for it among those for sale. If not, it is noted what it lacks."""
        if order.half_gone:
            return False
        try:
            pick(self.pool, order.wanted, on_sale(self.catalogue, order.wanted), consistent=True)
        except TooFew as few:
            self._note_lack(order, few.sku)
            return False
        return True

    def one(self, trade_id: str, unlisted: Unlisted = ()) -> bool:
        """Whether this trade got its cards now."""
        for _ in range(_ATTEMPTS):
            order = self.orders.find(trade_id)
            if order is None or order.status is not Status.AWAITING_STOCK or order.half_gone:
                return False
            listed = on_sale(self.catalogue, order.wanted)
            pools = {sku: [*(each for each in unlisted if each[0].sku == sku), *listed[sku]] for sku in listed}
            try:
                cards, _ = pick(self.pool, order.wanted, pools, consistent=True)
                filled = self.orders.record(
                    order, order.delivered(self.clock(), self.after_sale_ms, cards=tuple(cards))
                )
            except TooFew as few:
                self._note_lack(order, few.sku)
                return False
            except (Changed, CardTaken):
                continue
            self._wake(filled)
            return True
        raise Busy("the order kept changing")

    def _note_lack(self, order: Order, sku: str) -> None:
        """It is found by what it lacks."""
        if sku != order.lacking:
            self.orders.note(replace(order, lacking=sku))

    def _wake(self, order: Order) -> None:
        if order.task_token is None or not self.workflow.succeed(order.task_token):
            self.workflow.take_over(order.trade_id)
