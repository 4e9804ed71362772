"""Take a batch off sale, and put it back."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cardshop.domain.errors import Busy, Changed, NotFound, StillImporting
from cardshop.domain.product import Batch, BatchStatus
from cardshop.ports import Catalogue
from cardshop.usecases.put_on_sale import PutOnSale

_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class ManageBatches:
    catalogue: Catalogue
    put_on_sale: PutOnSale

    def __call__(self, sku: str, batch: str, wanted: BatchStatus) -> Batch:
        """The batch, on sale or withdrawn now or before. StillImporting: its import is to be completed first."""
        for _ in range(_ATTEMPTS):
            found = self.catalogue.batch(sku, batch)
            if found is None:
                raise NotFound("no such batch")
            if found.status is wanted:
                return found
            if found.status is BatchStatus.IMPORTING:
                raise StillImporting("send its file again to complete it")
            try:
                move = self.put_on_sale if wanted is BatchStatus.ON_SALE else self.catalogue.withdraw
                if move(found):
                    return replace(found, status=wanted)
            except Changed:  # the stock is being counted at this moment
                continue
        raise Busy("the batch kept changing")
