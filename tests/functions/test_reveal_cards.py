"""POST /orders/{trade_id}/cards: the codes, and that nobody else ever sees them."""

from __future__ import annotations

import pytest
from cardshop.adapters.aws import client
from cardshop.adapters.stock import DynamoPool
from cardshop.domain.card import Card, Pool
from cardshop.domain.order import Order

from tests.adapters.cloud import items, lose_keys, table_name
from tests.domain.builders import TRADE_ID, delivered, paid, placed
from tests.functions.deployed import Deployed, Logs
from tests.functions.samples import sample, with_body

REVEAL = sample("reveal_cards/to_holder")
CODES = ["STEAM-7F3K-22QX", "礼品卡-9B1M"]


def for_sale() -> tuple[Card, ...]:
    pools = {Pool.parse(item["pool"]["S"]) for item in items("StockTable")}
    return tuple(card for pool in pools for card in DynamoPool().look(pool, 9, consistent=True))


def given_a_paid_order(shop: Deployed) -> Order:
    shop.stock(*CODES)
    return shop.order(paid(placed(2, held=for_sale())))


@pytest.fixture
def order(shop: Deployed) -> Order:
    return given_a_paid_order(shop)


def test_the_holder_of_a_delivered_order_reads_the_codes(shop: Deployed, order: Order) -> None:
    shop.invoke("deliver_cards", sample("deliver_cards/trade"))
    answer = shop.call("reveal_cards", shop.as_holder(REVEAL))
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    assert sorted(card["code"] for card in answer.json["cards"]) == sorted(CODES)
    assert {card["sku"] for card in answer.json["cards"]} == {"steam-50"}
    actor = shop.stored().last_change.actor
    assert (actor.by, actor.terminal, actor.device, actor.address) == ("buyer", "mobile", "device-2", "203.0.113.7")


def test_each_reveal_is_on_record_with_the_terminal_of_the_token_if_none_is_told(shop: Deployed, order: Order) -> None:
    shop.invoke("deliver_cards", sample("deliver_cards/trade"))
    for body in (b"", b"{}"):
        assert shop.call("reveal_cards", shop.as_holder(with_body(REVEAL, body))).status == 200
    assert (shop.stored().version, shop.stored().last_change.what) == (5, "cards_revealed")
    assert shop.stored().last_change.actor.terminal == "pc"


def test_nothing_is_revealed_before_delivery(shop: Deployed, order: Order) -> None:
    assert shop.call("reveal_cards", shop.as_holder(REVEAL)).is_problem(409, "not_delivered")
    assert shop.stored() == order


def test_a_request_of_another_shape_is_refused_and_nothing_revealed(shop: Deployed, subtests: pytest.Subtests) -> None:
    shop.order(delivered())
    for wrong in (b'{"terminal": "fridge"}', b'{"device_id": ""}', b'{"code": true}', b'{"terminal": 1}'):
        with subtests.test(wrong=wrong):
            answer = shop.call("reveal_cards", shop.as_holder(with_body(REVEAL, wrong)))
            assert answer.is_problem(422, "unprocessable")
    assert shop.stored().version == 3


def test_a_key_service_that_fails_reveals_nothing_and_the_attempt_is_on_record(shop: Deployed, order: Order) -> None:
    shop.invoke("deliver_cards", sample("deliver_cards/trade"))
    lose_keys()
    answer = shop.call("reveal_cards", shop.as_holder(REVEAL))
    assert answer.is_problem(503, "unavailable")
    assert shop.stored().last_change.what == "cards_revealed"


def test_a_card_filed_as_another_does_not_open(shop: Deployed, order: Order) -> None:
    """Given somebody who can write the tables but not the key service, swapping two sealed cards reveals neither."""
    shop.invoke("deliver_cards", sample("deliver_cards/trade"))
    one, other = [item for item in items("SealedTable") if not item["id"]["S"].startswith("KEY#")]
    for item, sealed in ((one, other["sealed"]), (other, one["sealed"])):
        client("dynamodb").put_item(TableName=table_name("SealedTable"), Item={**item, "sealed": sealed})
    assert shop.call("reveal_cards", shop.as_holder(REVEAL)).is_problem(503, "unavailable")


def test_a_code_is_never_logged_and_never_lies_anywhere_but_sealed(
    shop: Deployed, logs: Logs, capsys: pytest.CaptureFixture[str]
) -> None:
    """From import to reveal, with a failure on the way: no log line and no table shows a code."""
    given_a_paid_order(shop)
    shop.invoke("deliver_cards", sample("deliver_cards/trade"))
    assert shop.call("reveal_cards", shop.as_holder(REVEAL)).status == 200
    lose_keys()
    assert shop.call("reveal_cards", shop.as_holder(REVEAL)).status == 503
    event = shop.as_operator(sample("import_cards/file"))
    assert shop.call("import_cards", with_body(event, "\n".join([*CODES, "ONE-MORE-CODE"]).encode())).status == 503
    captured = capsys.readouterr()
    everything = logs.text + captured.out + captured.err
    for table in ("OrdersTable", "TimelineTable", "StockTable", "SealedTable", "CatalogueTable"):
        everything += str(items(table))
    assert not [code for code in (*CODES, "ONE-MORE-CODE", "礼品卡") if code in everything]
    assert TRADE_ID in logs.text


def test_the_holder_of_an_order_without_its_sealed_card_is_told_to_try_again(shop: Deployed) -> None:
    shop.order(delivered())
    assert shop.call("reveal_cards", shop.as_holder(REVEAL)).is_problem(503, "unavailable")
