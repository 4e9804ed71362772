"""A trade's story in DynamoDB: written twice it is told once, in the sequence of its versions."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cardshop.adapters.aws import client
from cardshop.adapters.timeline import DynamoTimeline
from cardshop.domain.errors import Unavailable
from cardshop.ports import Incident

from tests.adapters.cloud import table_name
from tests.domain.builders import NOW, PAYMENT_ID, TRADE_ID, paid, placed

pytestmark = pytest.mark.usefixtures("cloud")

INCIDENT = Incident(TRADE_ID, "denied", "epay", PAYMENT_ID, NOW, "0123456789ab", "epay: 990 CNY")


def test_entries_are_told_in_sequence_however_often_and_in_whatever_order_they_came() -> None:
    order = placed()
    later = paid(order)
    last = replace(later.last_change, version=10)
    timeline = DynamoTimeline()
    timeline.append(TRADE_ID, [last])
    timeline.append(TRADE_ID, [later.last_change, order.last_change])
    timeline.append(TRADE_ID, [order.last_change])
    assert timeline.of(TRADE_ID) == [order.last_change, later.last_change, last]
    assert timeline.of("z" * 26) == []


def test_the_same_incident_is_noted_once_and_is_not_part_of_the_story() -> None:
    timeline = DynamoTimeline()
    timeline.append(TRADE_ID, [placed().last_change])
    timeline.note(INCIDENT)
    timeline.note(INCIDENT)
    timeline.note(replace(INCIDENT, kind="wrong_amount"))
    assert len(timeline.of(TRADE_ID)) == 1
    assert timeline.incidents(TRADE_ID) == [INCIDENT, replace(INCIDENT, kind="wrong_amount")]
    assert timeline.incidents("z" * 26) == []


def test_a_store_that_fails_is_unavailable_whatever_is_asked() -> None:
    client("dynamodb").delete_table(TableName=table_name("TimelineTable"))
    timeline = DynamoTimeline()
    for ask in (
        lambda: timeline.append(TRADE_ID, [placed().last_change]),
        lambda: timeline.of(TRADE_ID),
        lambda: timeline.note(INCIDENT),
        lambda: timeline.incidents(TRADE_ID),
    ):
        with pytest.raises(Unavailable):
            ask()
