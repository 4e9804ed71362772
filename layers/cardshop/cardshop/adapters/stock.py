"""The pool of cards for sale, and the sealed table that holds their codes.

A card is sealed and put in the pool by one transaction, and its id is the condition: it is added once, whatever is
sent again. A claim deletes it from the pool in the order's own transaction (`orders.py`).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from pynamodb.exceptions import PutError, TransactWriteError
from pynamodb.expressions.condition import Condition
from pynamodb.transactions import TransactWrite

from cardshop.adapters.tables import CONDITION_FAILED, PoolItem, SealedItem, connection, reasons, refused, store
from cardshop.domain.card import Card, Pool, random_place
from cardshop.domain.errors import Busy
from cardshop.ports import SealedCard, WrappedKey

_CARDS_PER_TRANSACTION = 50  # two items each, and a transaction holds 100


class DynamoPool:
    """`ports.CardPool`."""

    def look(self, pool: Pool, wanted: int, *, consistent: bool) -> list[Card]:
        start = random_place()
        with store():
            found = self._read(pool, PoolItem.place >= start, wanted, consistent)
            if len(found) < wanted:
                found += self._read(pool, PoolItem.place < start, wanted - len(found), consistent)
        return found

    def count(self, pool: Pool) -> int:
        with store():
            return int(PoolItem.count(pool.key, consistent_read=True))

    @staticmethod
    def _read(pool: Pool, where: Condition, wanted: int, consistent: bool) -> list[Card]:
        found = PoolItem.query(pool.key, where, limit=wanted, page_size=wanted, consistent_read=consistent)
        return [Card(pool, item.card_id, item.place) for item in found]


class DynamoSealedCards:
    """`ports.SealedCards`."""

    def add_key(self, key: WrappedKey) -> None:
        item = SealedItem(f"KEY#{key.key_id}", sku=key.sku, batch=key.batch, sealed=key.wrapped)
        with store():
            try:
                item.save(condition=SealedItem.item_id.does_not_exist())
            except PutError as error:
                if not refused(error):  # the first try's answer was lost: the key is there
                    raise

    def drop_key(self, key: WrappedKey) -> None:
        with store():
            SealedItem(f"KEY#{key.key_id}").delete()

    def add(self, cards: Sequence[SealedCard]) -> list[str]:
        refused_ids: list[str] = []
        with store():
            for some in _chunks(cards, _CARDS_PER_TRANSACTION):
                refused_ids += self._add_together(list(some))
            batch_of = {card.card_id: card.pool.batch for card in cards}
            # one that is in this very batch was added by an earlier attempt, or by a twin beside us
            there = SealedItem.batch_get(refused_ids, consistent_read=True)
            return [item.item_id for item in there if item.batch != batch_of[item.item_id]]

    def _add_together(self, cards: list[SealedCard]) -> list[str]:
        taken: list[str] = []
        for _ in range(len(cards) + 8):
            if not cards:
                return taken
            try:
                with TransactWrite(connection=connection(), client_request_token=str(uuid.uuid4())) as write:
                    for card in cards:
                        write.save(_sealed_item(card), condition=SealedItem.item_id.does_not_exist())
                    for card in cards:
                        write.save(PoolItem(card.pool.key, random_place(), card_id=card.card_id))
                return taken
            except TransactWriteError as error:
                why = reasons(error)
                if not why:
                    raise
                there = [card for card, code in zip(cards, why, strict=False) if code == CONDITION_FAILED]
                taken += [card.card_id for card in there]
                cards = [card for card in cards if card not in there]
        raise Busy("another import holds these cards")

    def get(self, card_ids: Iterable[str]) -> dict[str, SealedCard]:
        with store():
            return {
                item.item_id: SealedCard(
                    item.item_id,
                    Pool(item.sku, item.batch, int(item.shard or 0)),
                    item.key_id or "",
                    bytes(item.sealed),
                )
                for item in SealedItem.batch_get(list(card_ids))
            }

    def keys(self, key_ids: Iterable[str]) -> dict[str, WrappedKey]:
        with store():
            return {
                key_id: WrappedKey(key_id, item.sku, item.batch, bytes(item.sealed))
                for item in SealedItem.batch_get([f"KEY#{key_id}" for key_id in set(key_ids)])
                for key_id in [item.item_id.removeprefix("KEY#")]
            }


def _sealed_item(card: SealedCard) -> SealedItem:
    return SealedItem(
        card.card_id,
        sku=card.pool.sku,
        batch=card.pool.batch,
        shard=card.pool.shard,
        key_id=card.key_id,
        sealed=card.sealed,
        uses=1,
    )


def _chunks(cards: Sequence[SealedCard], size: int) -> Iterator[list[SealedCard]]:
    rest = iter(cards)
    while some := list(islice(rest, size)):
        yield some
