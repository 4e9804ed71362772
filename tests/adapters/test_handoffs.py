"""Codes that hand an order over, in DynamoDB: each is taken once."""

from __future__ import annotations

import pytest
from cardshop.adapters.attempts import DynamoAttemptBook
from cardshop.adapters.aws import client
from cardshop.adapters.handoffs import DynamoHandoffs
from cardshop.domain.errors import Unavailable
from cardshop.ports import Attempts, Handoff

from tests.adapters.cloud import TABLES, items, table_name
from tests.domain.builders import NOW, TRADE_ID

pytestmark = pytest.mark.usefixtures("cloud")

HANDOFF = Handoff("4f53cda18c2baa0c", TRADE_ID, NOW, 1_800_000_000)


def test_of_two_who_bring_a_code_one_gets_the_order() -> None:
    DynamoHandoffs().put(HANDOFF)
    taken = [DynamoHandoffs().take(HANDOFF.digest, NOW - 1) for _ in range(2)]
    assert taken == [HANDOFF, None]
    assert items("AttemptsTable") == []


@pytest.mark.parametrize("digest", [HANDOFF.digest, "another"], ids=["over", "unknown"])
def test_a_code_that_is_over_or_unknown_gets_nothing(digest: str) -> None:
    DynamoHandoffs().put(HANDOFF)
    assert DynamoHandoffs().take(digest, NOW) is None


def test_it_is_forgotten_when_it_is_over() -> None:
    DynamoHandoffs().put(HANDOFF)
    (item,) = items("AttemptsTable")
    attribute = TABLES["AttemptsTable"]["TimeToLiveSpecification"]["AttributeName"]
    assert item[attribute] == {"N": str(NOW // 1000)}


def test_no_code_is_a_count_of_tries() -> None:
    DynamoHandoffs().put(HANDOFF)
    assert DynamoAttemptBook().of(HANDOFF.digest) == Attempts(0, 0)


def test_a_store_that_fails_is_unavailable() -> None:
    client("dynamodb").delete_table(TableName=table_name("AttemptsTable"))
    with pytest.raises(Unavailable):
        DynamoHandoffs().put(HANDOFF)
    with pytest.raises(Unavailable):
        DynamoHandoffs().take(HANDOFF.digest, NOW)
