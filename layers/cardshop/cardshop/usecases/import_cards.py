"""Load a file of codes as one batch, which goes on sale whole or not at all.

The batch's id is made of the file's content: the same file is the same batch, so an import that broke off is
completed by sending the file again, and two at a time add each card once. Before it goes on sale, orders that were
paid and had to wait are filled from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cardshop.domain.card import Pool, card_id, text_hmac
from cardshop.domain.errors import Busy, Changed, NotFound
from cardshop.domain.product import shares
from cardshop.ports import CardPool, Catalogue, Clock, ImportedBatch, SealedCard, SealedCards, Sealer
from cardshop.usecases.fill_orders import FillOrders

_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Imported:
    batch: ImportedBatch
    duplicates: list[int]  # line numbers, from 1
    already: bool  # this very file was on sale before


@dataclass(frozen=True, slots=True)
class ImportCards:
    catalogue: Catalogue
    sealed: SealedCards
    sealer: Sealer
    pool: CardPool
    fill: FillOrders
    secret: bytes
    clock: Clock

    def __call__(self, sku: str, codes: Sequence[tuple[int, str]]) -> Imported:
        """Seal `codes` (line number, code) and put them on sale. NotFound: no such product."""
        if self.catalogue.find(sku, consistent=True) is None:
            raise NotFound("no such product")
        lines: dict[str, tuple[int, str]] = {}
        repeated: list[int] = []
        for number, code in codes:
            identity = card_id(self.secret, code)
            if identity in lines:
                repeated.append(number)
            else:
                lines[identity] = (number, code)
        batch = text_hmac(self.secret, "batch", sku, *lines)
        found = self.catalogue.batch(sku, batch)
        if found is not None and found.on_sale:
            return Imported(found, sorted(repeated), already=True)
        resumed = found is not None
        if found is None:
            found = ImportedBatch(sku, batch, len(shares(len(lines))), len(lines), False, self.clock())
            self.catalogue.begin_batch(found)
        key, plain = self.sealer.new_key(sku, batch)
        self.sealed.add_key(key)
        cards = [
            SealedCard(
                identity,
                Pool(sku, batch, index % found.shards),
                key.key_id,
                self.sealer.seal(plain, sku, identity, code),
            )
            for index, (identity, (_, code)) in enumerate(lines.items())
        ]
        duplicates = set(self.sealed.add(cards))
        ready = ImportedBatch(sku, batch, found.shards, len(lines) - len(duplicates), True, found.created_at)
        counts = [0] * found.shards
        for card in cards:
            counts[card.pool.shard] += card.card_id not in duplicates
        pools = [(Pool(sku, batch, shard), count) for shard, count in enumerate(counts) if count]
        if self.fill(sku, pools) or resumed:  # some are no longer there
            counts = [self.pool.count(Pool(sku, batch, shard)) for shard in range(found.shards)]
        for _ in range(_ATTEMPTS):
            try:
                self.catalogue.put_on_sale(ready, tuple(counts))
            except Changed:  # the stock is being counted at this moment
                continue
            break
        else:
            raise Busy("the product kept changing; send the file again")
        return Imported(ready, sorted(repeated + [lines[each][0] for each in duplicates]), already=False)
