"""Every card that was imported is for sale, set aside, sold or withdrawn: count them all, and say what is missing.

A card is moved by one transaction from its pool to an order, so nothing can be missing. This is how anyone would know.
What is derived from the streams (the ledger, the counts that a product lists) is put right where a record was lost.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cardshop.domain.holding import Holding, HoldingState
from cardshop.domain.holding import holdings as of_order
from cardshop.domain.product import Batch, BatchStatus
from cardshop.ports import CardPool, Catalogue, Holdings, Orders
from cardshop.usecases.count_stock import CountStock


@dataclass(frozen=True, slots=True)
class Audited:
    batch: Batch
    missing: int  # cards that are nowhere; below zero: in two places


@dataclass(frozen=True, slots=True)
class AuditStock:
    catalogue: Catalogue
    pool: CardPool
    holdings: Holdings
    orders: Orders
    count: CountStock
    pause_seconds: float  # by then a stream record has come
    pause: Callable[[float], None] = time.sleep

    def __call__(self) -> Iterator[Audited]:
        """Every batch at rest. One that does not add up but is being sold from is left for the next time.

        What was moved a moment ago may not be in the ledger yet, so a batch that does not add up is looked at again
        after a pause.
        """
        suspects = []
        for product in self.catalogue.everything():
            for batch in self.catalogue.batches(product.sku):
                if batch.status is BatchStatus.ON_SALE:
                    self.count.whole(batch)
                if batch.status is BatchStatus.IMPORTING:
                    continue
                self._mend_ledger(batch, {HoldingState.HELD})  # few, and the ones that move
                if sum(self._look(batch)) == batch.cards:
                    yield Audited(batch, 0)
                else:
                    suspects.append(batch)
        if suspects:
            self.pause(self.pause_seconds)
        for batch in suspects:
            self._mend_ledger(batch, set(HoldingState))
            found = self._look(batch)
            if found == self._look(batch):
                yield Audited(batch, batch.cards - sum(found))

    def _look(self, batch: Batch) -> tuple[int, int]:
        """(cards in its pools, cards that trades have)."""
        there = sum(self.pool.count(pool) for pool in batch.pools())
        return there, sum(holding.cards for holding in self.holdings.of(batch))

    def _mend_ledger(self, batch: Batch, states: set[HoldingState]) -> None:
        """What the ledger has, as the orders themselves have it now."""
        for holding in list(self.holdings.of(batch)):
            if holding.state in states:
                self.holdings.note(self._as_it_is(batch, holding))

    def _as_it_is(self, batch: Batch, holding: Holding) -> list[Holding]:
        order = self.orders.find(holding.trade_id)
        if order is None:
            return []
        key = f"{batch.sku}#{batch.batch}"
        named = Counter(f"{card.pool.sku}#{card.pool.batch}" for card in order.cards)
        return of_order(order.trade_id, order.version, order.status, {key: holding.cards}, {key: named[key]})
