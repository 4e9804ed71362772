"""Load a file of codes as one batch, which goes on sale whole or not at all.

The batch's id is made of the file's content: the same file is the same batch, so an import that broke off is
completed by sending the file again, and two at a time add each card once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from cardshop.domain.card import Pool, card_id, text_hmac
from cardshop.domain.card_file import some_lines
from cardshop.domain.errors import NotFound, NothingToImport
from cardshop.domain.product import Batch, BatchStatus, shares
from cardshop.ports import Catalogue, Clock, SealedCard, SealedCards, Sealer
from cardshop.usecases.put_on_sale import PutOnSale

_STEP = 1000  # cards, after which an operator sees how far it is


@dataclass(frozen=True, slots=True)
class Imported:
    batch: Batch
    duplicates: list[int]  # line numbers, from 1
    already: bool  # this very file was imported before


@dataclass(frozen=True, slots=True)
class ImportCards:
    catalogue: Catalogue
    sealed: SealedCards
    sealer: Sealer
    put_on_sale: PutOnSale
    secret: bytes
    clock: Clock

    def __call__(self, sku: str, codes: Sequence[tuple[int, str]]) -> Imported:
        """Seal `codes` (line number, code) and put them on sale.

        NotFound: no such product. NothingToImport: every code is in the stock already; nothing was written.
        """
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
        batch_id = text_hmac(self.secret, "batch", sku, *lines)
        batch = self.catalogue.batch(sku, batch_id)
        if batch is not None and batch.status is not BatchStatus.IMPORTING:
            return Imported(batch, repeated, already=True)
        if batch is None:
            batch = Batch(sku, batch_id, BatchStatus.IMPORTING, len(shares(len(lines))), 0, self.clock())
            self.catalogue.begin_batch(batch)
        batch, elsewhere = self._seal(batch, lines)
        duplicates = sorted(repeated + [lines[identity][0] for identity in elsewhere])
        if batch.cards == 0:
            self.catalogue.drop_batch(batch)
            raise NothingToImport(f"every code is in the stock already: lines {some_lines(duplicates)}")
        if self.put_on_sale(batch):
            return Imported(replace(batch, status=BatchStatus.ON_SALE), duplicates, already=False)
        return Imported(self.catalogue.batch(sku, batch_id) or batch, duplicates, already=False)

    def _seal(self, batch: Batch, lines: dict[str, tuple[int, str]]) -> tuple[Batch, list[str]]:
        """The batch with its cards counted, and the ids that other batches hold already."""
        key, plain = self.sealer.new_key(batch.sku, batch.batch)
        self.sealed.add_key(key)
        cards = (
            SealedCard(
                identity,
                Pool(batch.sku, batch.batch, index % batch.shards),
                key.key_id,
                self.sealer.seal(plain, batch.sku, identity, code),
            )
            for index, (identity, (_, code)) in enumerate(lines.items())
        )
        done, elsewhere = 0, list[str]()
        while some := list(islice(cards, _STEP)):
            elsewhere += self.sealed.add(some)
            done += len(some)
            batch = replace(batch, cards=done - len(elsewhere))
            if done < len(lines):
                self.catalogue.advance_batch(batch)
        if batch.cards == 0:
            self.sealed.drop_key(key)
        return batch, elsewhere
