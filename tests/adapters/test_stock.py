"""Stock in DynamoDB: each card once, sealed and for sale together or not at all."""

from __future__ import annotations

import pytest
from cardshop.adapters.aws import client
from cardshop.adapters.stock import DynamoPool, DynamoSealedCards
from cardshop.adapters.tables import PoolItem
from cardshop.domain.card import Pool
from cardshop.domain.errors import Unavailable
from cardshop.ports import SealedCard, WrappedKey

from tests.adapters.cloud import items, table_name

pytestmark = pytest.mark.usefixtures("cloud")

POOL = Pool("steam-50", "batch-1", 0)


def sealed(*numbers: int, pool: Pool = POOL) -> list[SealedCard]:
    return [SealedCard(f"card-{number:03d}", pool, "key-1", f"sealed {number}".encode()) for number in numbers]


def ids(pool: Pool = POOL) -> list[str]:
    return sorted(card.card_id for card in DynamoPool().look(pool, 1000, consistent=True))


# ---- adding ----


def test_added_cards_are_for_sale_and_their_codes_are_kept() -> None:
    some = sealed(*range(3))
    assert DynamoSealedCards().add(some) == []
    assert ids() == ["card-000", "card-001", "card-002"]
    assert DynamoPool().count(POOL) == 3
    assert DynamoSealedCards().get(["card-000", "card-002", "unknown"]) == {
        "card-000": some[0],
        "card-002": some[2],
    }


def test_more_cards_than_a_transaction_holds_are_all_added() -> None:
    assert DynamoSealedCards().add(sealed(*range(120))) == []
    assert ids() == [f"card-{number:03d}" for number in range(120)]


def test_a_card_of_another_batch_is_named_and_not_added_again() -> None:
    """Given cards that another batch holds, in whichever transaction they come, the others are added all the same."""
    other = Pool("steam-50", "batch-0", 0)
    DynamoSealedCards().add(sealed(1, 3, 70, 119, pool=other))
    assert sorted(DynamoSealedCards().add(sealed(*range(120)))) == ["card-001", "card-003", "card-070", "card-119"]
    assert ids() == [f"card-{number:03d}" for number in range(120) if number not in (1, 3, 70, 119)]
    assert len(ids(other)) == 4
    assert DynamoSealedCards().get(["card-001"])["card-001"].pool == other


def test_a_card_that_this_batch_added_before_is_neither_named_nor_doubled() -> None:
    DynamoSealedCards().add(sealed(0, 1, 2))
    assert DynamoSealedCards().add(sealed(*range(5))) == []
    assert ids() == [f"card-{number:03d}" for number in range(5)]


def test_a_sold_card_does_not_come_back_when_it_is_added_again() -> None:
    DynamoSealedCards().add(sealed(0, 1))
    (sold,) = [card for card in DynamoPool().look(POOL, 9, consistent=True) if card.card_id == "card-000"]
    PoolItem(sold.pool.key, sold.place).delete()
    assert DynamoSealedCards().add(sealed(0, 1)) == []
    assert ids() == ["card-001"]


def test_nothing_to_add_is_nothing_added() -> None:
    assert DynamoSealedCards().add([]) == []
    assert items("SealedTable") == items("StockTable") == []


# ---- looking ----


@pytest.mark.parametrize("consistent", [True, False])
def test_as_many_cards_are_found_as_are_wanted_and_no_card_twice(consistent: bool) -> None:
    """Wherever the look begins, it reads on around the end: all ten are found each time."""
    DynamoSealedCards().add(sealed(*range(10)))
    for wanted in (1, 9, 10, 11):
        found = DynamoPool().look(POOL, wanted, consistent=consistent)
        assert len({card.card_id for card in found}) == len(found) == min(wanted, 10)
        assert all(card.pool == POOL and len(card.place) == 16 for card in found)


def test_a_look_begins_anywhere() -> None:
    """Buyers who all began at the same card would all want the same card."""
    DynamoSealedCards().add(sealed(*range(10)))
    first = {DynamoPool().look(POOL, 1, consistent=False)[0].card_id for _ in range(60)}
    assert len(first) > 1


def test_pools_do_not_run_into_each_other() -> None:
    DynamoSealedCards().add(sealed(0) + sealed(1, pool=Pool("steam-50", "batch-1", 1)))
    assert ids() == ["card-000"]
    assert DynamoPool().count(Pool("steam-50", "batch-1", 1)) == 1
    assert DynamoPool().count(Pool("steam-50", "batch-2", 0)) == 0


# ---- keys ----


def test_a_wrapped_key_is_found_by_its_id_and_adding_it_again_does_not_replace_it() -> None:
    key = WrappedKey("key-1", "steam-50", "batch-1", b"wrapped \x00\xff")
    DynamoSealedCards().add_key(key)
    DynamoSealedCards().add_key(WrappedKey("key-1", "steam-50", "batch-1", b"another"))
    assert DynamoSealedCards().keys(["key-1", "key-1"]) == {"key-1": key}


def test_a_key_that_sealed_nothing_is_dropped_and_no_other() -> None:
    used, unused = (WrappedKey(name, "steam-50", "batch-1", b"wrapped") for name in ("key-1", "key-2"))
    DynamoSealedCards().add_key(used)
    DynamoSealedCards().add_key(unused)
    DynamoSealedCards().drop_key(unused)
    assert DynamoSealedCards().keys(["key-1", "key-2"]) == {"key-1": used}


def test_a_store_that_fails_is_unavailable_and_nothing_is_half_added() -> None:
    client("dynamodb").delete_table(TableName=table_name("StockTable"))
    with pytest.raises(Unavailable):
        DynamoSealedCards().add(sealed(0))
    assert items("SealedTable") == []
    for ask in (lambda: DynamoPool().look(POOL, 1, consistent=True), lambda: DynamoPool().count(POOL)):
        with pytest.raises(Unavailable):
            ask()
