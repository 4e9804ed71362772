"""Which trade has cards of which batch: written from the orders' stream, read by operators and by the audit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pynamodb.exceptions import PutError

from cardshop.adapters.clock import clock
from cardshop.adapters.tables import HoldingItem, refused, store
from cardshop.domain.holding import Holding, HoldingState
from cardshop.domain.product import Batch

_LANES = 8
_RELEASED_KEPT = 86_400  # seconds: as long as a stream record can come late


class DynamoHoldings:
    """`ports.Holdings`."""

    def note(self, holdings: Sequence[Holding]) -> None:
        with store():
            for holding in holdings:
                item = HoldingItem(
                    _lane(holding.sku, holding.batch, ord(holding.trade_id[-1])),
                    holding.trade_id,
                    version=holding.version,
                    cards=holding.cards,
                    state=holding.state.value,
                )
                if holding.state is HoldingState.RELEASED:
                    item.forgotten_at = clock() // 1000 + _RELEASED_KEPT
                try:
                    item.save(condition=HoldingItem.version.does_not_exist() | (HoldingItem.version < holding.version))
                except PutError as error:
                    if not refused(error):  # what is there is newer, or this very one
                        raise

    def of(self, batch: Batch) -> Iterator[Holding]:
        for number in range(_LANES):
            with store():
                for item in HoldingItem.query(_lane(batch.sku, batch.batch, number)):
                    yield Holding(
                        batch.sku,
                        batch.batch,
                        item.trade_id,
                        int(item.version),
                        int(item.cards),
                        HoldingState(item.state),
                    )


def _lane(sku: str, batch: str, number: int) -> str:
    return f"{sku}#{batch}#{number % _LANES}"
