"""Every card that was imported is for sale, set aside, sold or withdrawn: count them all, and name what is missing.

A card is moved by one transaction from its pool to an order, so nothing can be missing. This is how anyone would know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from cardshop.domain.holding import Holding, HoldingState
from cardshop.domain.holding import holdings as of_order
from cardshop.domain.product import Batch, BatchStatus
from cardshop.ports import CardPool, Catalogue, Holdings, Orders


@dataclass(frozen=True, slots=True)
class Audited:
    batch: Batch
    missing: int  # cards that are nowhere; below zero: in two places

    @property
    def sound(self) -> bool:
        return self.missing == 0


@dataclass(frozen=True, slots=True)
class AuditStock:
    catalogue: Catalogue
    pool: CardPool
    holdings: Holdings
    orders: Orders

    def __call__(self) -> Iterator[Audited]:
        """Every batch at rest. One that is being sold from while it is counted is left for the next time."""
        for product in self.catalogue.everything():
            for batch in self.catalogue.batches(product.sku):
                if batch.status is not BatchStatus.IMPORTING:
                    yield from self._audit(batch)

    def _audit(self, batch: Batch) -> Iterator[Audited]:
        missing = self._missing(batch)
        if missing:
            self._mend_ledger(batch)
            again = self._missing(batch)
            if again != self._missing(batch):
                return
            missing = again
        yield Audited(batch, missing)

    def _missing(self, batch: Batch) -> int:
        there = sum(self.pool.count(pool) for pool in batch.pools())
        return batch.cards - there - sum(holding.cards for holding in self.holdings.of(batch))

    def _mend_ledger(self, batch: Batch) -> None:
        """Held and sold cards as the orders themselves have them: a lost stream record is made good."""
        for holding in list(self.holdings.of(batch)):
            if holding.state is not HoldingState.RELEASED:
                self.holdings.note(self._as_it_is(batch, holding))

    def _as_it_is(self, batch: Batch, holding: Holding) -> list[Holding]:
        order = self.orders.find(holding.trade_id)
        if order is None:
            return []
        key = f"{batch.sku}#{batch.batch}"
        named = Counter(f"{card.pool.sku}#{card.pool.batch}" for card in order.cards)
        return of_order(order.trade_id, order.version, order.status, {key: holding.cards}, {key: named[key]})
