"""Queues, streams and tables: nothing is given up on unseen, and nothing is retried for ever."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from cardshop.adapters import stream
from cardshop.adapters.tables import CHANGE, AttemptItem, ConnectionItem, HoldingItem

from functions import confirm_payment, reconcile
from tests.template.cloudformation import RESOURCES, TEMPLATE, as_list, named, of_type, on_aws

_FUNCTIONS = of_type("AWS::Serverless::Function")
_QUEUES = of_type("AWS::SQS::Queue")
_TABLES = of_type("AWS::DynamoDB::Table")


def _sources(kind: str) -> dict[str, dict[str, Any]]:
    """Event sources of this type, by `Function.Event`."""
    return {
        f"{name}.{event}": source["Properties"]
        for name, function in _FUNCTIONS.items()
        for event, source in function.get("Events", {}).items()
        if source["Type"] == kind
    }


_STREAMS, _POLLED = _sources("DynamoDB"), _sources("SQS")

#: Tables whose whole content is worth no more than a day.
_MAY_BE_LOST = {"AttemptsTable", "ConnectionsTable"}
_FORGETFUL = {
    name: table["TimeToLiveSpecification"] for name, table in _TABLES.items() if "TimeToLiveSpecification" in table
}


def _dead_letters_of(queue: str) -> str | None:
    return named(_QUEUES[queue].get("RedrivePolicy", {}).get("deadLetterTargetArn"))


def _on_failure(source: dict[str, Any]) -> str | None:
    destination = source["DestinationConfig"]["OnFailure"]
    assert destination["Type"] == "SQS"
    return named(destination["Destination"])


_CONSUMED = sorted({str(named(source["Queue"])) for source in _POLLED.values()})
_DEAD_LETTERS = sorted(
    {str(_dead_letters_of(queue)) for queue in _QUEUES if _dead_letters_of(queue)}
    | {str(_on_failure(source)) for source in _STREAMS.values()}
)


def test_there_is_something_to_check() -> None:
    assert len(_CONSUMED) >= 4
    assert len(_DEAD_LETTERS) >= 4
    assert len(_STREAMS) >= 3
    assert set(_CONSUMED) | set(_DEAD_LETTERS) == _QUEUES.keys(), "a queue nobody reads and nobody fills"


@pytest.mark.parametrize("queue", _CONSUMED)
def test_a_consumed_queue_gives_up_into_dead_letters(queue: str) -> None:
    dead = _dead_letters_of(queue)
    assert dead in _QUEUES
    assert dead not in _CONSUMED, "dead letters wait for a person"
    assert 1 < on_aws(_QUEUES[queue]["RedrivePolicy"]["maxReceiveCount"]) <= 100
    assert _QUEUES[dead]["MessageRetentionPeriod"] == 14 * 86_400, "as long as SQS keeps anything"
    assert _QUEUES[dead]["MessageRetentionPeriod"] >= _QUEUES[queue]["MessageRetentionPeriod"]


def test_a_notice_outlives_an_outage_of_some_hours() -> None:
    """Without anybody's hand: whether each try can still say when the next is to be, or is killed with the outage."""
    queue = _QUEUES["NoticesQueue"]
    tries = on_aws(queue["RedrivePolicy"]["maxReceiveCount"])
    first = TEMPLATE["Parameters"]["RetrySeconds"]["Default"]
    told = sum(confirm_payment.pause_after(number, first) for number in range(1, tries))
    killed = (tries - 1) * queue["VisibilityTimeout"]
    hours = 3600
    assert killed > 4 * hours
    assert told > 12 * hours
    assert max(told, killed) < queue["MessageRetentionPeriod"]


@pytest.mark.parametrize("source", sorted(_POLLED))
def test_a_polled_queue_reports_each_failure_by_itself(source: str) -> None:
    assert _POLLED[source]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    function = _FUNCTIONS[source.split(".", maxsplit=1)[0]]
    timeout = on_aws(function.get("Timeout", TEMPLATE["Globals"]["Function"]["Timeout"]))
    queue = _QUEUES[str(named(_POLLED[source]["Queue"]))]
    assert queue["VisibilityTimeout"] >= 6 * timeout, "AWS: at least six times the function's time-out"


@pytest.mark.parametrize("queue", _DEAD_LETTERS)
def test_dead_letters_are_heard_of(queue: str) -> None:
    alarms = [
        alarm
        for alarm in of_type("AWS::CloudWatch::Alarm").values()
        for dimension in alarm.get("Dimensions", [])
        if dimension["Name"] == "QueueName" and dimension["Value"] == {"Fn::GetAtt": [queue, "QueueName"]}
    ]
    (alarm,) = alarms
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/SQS", "ApproximateNumberOfMessagesVisible")
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (0, "GreaterThanThreshold"), "the first one counts"
    assert alarm["Period"] * alarm["EvaluationPeriods"] <= 300


@pytest.mark.parametrize("source", sorted(_STREAMS))
def test_a_stream_goes_on_past_what_fails(source: str) -> None:
    """Lambda's own defaults retry a bad record for a day, and everything behind it waits."""
    stream = _STREAMS[source]
    assert stream["StartingPosition"] == "TRIM_HORIZON", "nothing that was written before the deploy is skipped"
    assert stream["BisectBatchOnFunctionError"] is True
    assert 1 <= stream["MaximumRetryAttempts"] <= 100
    assert 60 <= stream["MaximumRecordAgeInSeconds"] < 86_400, "before the stream itself forgets"
    assert stream["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    dead = _on_failure(stream)
    assert dead in _DEAD_LETTERS
    role = named(_FUNCTIONS[source.split(".", maxsplit=1)[0]]["Role"])
    statements = RESOURCES[str(role)]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    sends = [each for each in statements if "sqs:SendMessage" in as_list(each["Action"])]
    assert dead in {named(resource) for each in sends for resource in as_list(each["Resource"])}


@pytest.mark.parametrize("source", sorted(_STREAMS))
def test_a_stream_is_one_that_a_table_has(source: str) -> None:
    table, attribute = _STREAMS[source]["Stream"]["Fn::GetAtt"]
    assert attribute == "StreamArn"
    assert "StreamSpecification" in _TABLES[table]


def test_a_stream_has_no_more_than_two_readers() -> None:
    """AWS: more than two a shard are throttled. The orders' second place is for whoever pushes changes to buyers."""
    readers = Counter(source["Stream"]["Fn::GetAtt"][0] for source in _STREAMS.values())
    assert max(readers.values()) <= 2


@pytest.mark.parametrize("function", ["RecordEventsFunction", "PushChangesFunction"])
def test_who_follows_the_orders_is_called_for_their_changes_alone(function: str) -> None:
    """Not for a token, a session, or when to look again."""
    source = _STREAMS[f"{function}.Stream"]
    assert source["Stream"] == {"Fn::GetAtt": ["OrdersTable", "StreamArn"]}
    (only,) = source["FilterCriteria"]["Filters"]
    assert json.loads(only["Pattern"]) == {"dynamodb": {"NewImage": {"last_write": {"S": [CHANGE]}}}}


def test_a_trade_is_started_by_the_first_entry_of_its_timeline_alone() -> None:
    source = _STREAMS["StartTradeFunction.Stream"]
    assert source["Stream"] == {"Fn::GetAtt": ["TimelineTable", "StreamArn"]}
    (only,) = source["FilterCriteria"]["Filters"]
    wanted = {"eventName": ["INSERT"], "dynamodb": {"Keys": {"entry": {"S": [stream._FIRST]}}}}
    assert json.loads(only["Pattern"]) == wanted


@pytest.mark.parametrize("table", sorted(_TABLES.keys() - _MAY_BE_LOST))
def test_a_table_can_be_restored_and_is_kept(table: str) -> None:
    definition = _TABLES[table]
    assert definition["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert RESOURCES[table]["DeletionPolicy"] == RESOURCES[table]["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize("table", sorted(_MAY_BE_LOST))
def test_a_table_that_may_be_lost_is_not_kept(table: str) -> None:
    assert "DeletionPolicy" not in RESOURCES[table]
    assert table in _FORGETFUL, "nor does it grow for ever"


def test_a_table_forgets_by_the_attribute_that_its_items_have() -> None:
    assert _FORGETFUL.keys() == {"AttemptsTable", "ConnectionsTable", "HoldingsTable"}
    for forgets in _FORGETFUL.values():
        assert forgets == {"AttributeName": "forgotten_at", "Enabled": True}
    for item in (AttemptItem, ConnectionItem, HoldingItem):
        assert "forgotten_at" in item.get_attributes()


@pytest.mark.parametrize("table", sorted(_TABLES))
def test_a_table_is_paid_by_the_request_and_can_be_replaced(table: str) -> None:
    assert _TABLES[table]["BillingMode"] == "PAY_PER_REQUEST"
    assert "TableName" not in _TABLES[table], "a name of its own would block its replacement"


def test_every_table_streams_but_those_that_nobody_follows() -> None:
    silent = {name for name, table in _TABLES.items() if "StreamSpecification" not in table}
    assert silent == {"SealedTable", "AttemptsTable", "ConnectionsTable", "HoldingsTable"}


def test_an_index_holds_keys_only() -> None:
    """The order is read by its key: a whole order in each index would be written with each change."""
    indexes = {
        index["IndexName"]: index for table in _TABLES.values() for index in table.get("GlobalSecondaryIndexes", [])
    }
    of_orders = {"holds-by-address", "holds-by-device", "holds-by-contact", "due", "awaiting-stock"}
    assert indexes.keys() == of_orders | {"places-by-address", "places-by-name"}
    assert all(index["Projection"] == {"ProjectionType": "KEYS_ONLY"} for index in indexes.values())


def test_every_key_attribute_is_defined_and_none_is_idle() -> None:
    for name, table in _TABLES.items():
        schemas = [table["KeySchema"], *(index["KeySchema"] for index in table.get("GlobalSecondaryIndexes", []))]
        used = {key["AttributeName"] for schema in schemas for key in schema}
        assert used == {each["AttributeName"] for each in table["AttributeDefinitions"]}, name


def test_reconcile_runs_every_minute_and_has_time_for_some_trades() -> None:
    """Two runs at once change nothing twice, so none is reserved: a new account has no concurrency to reserve."""
    assert _sources("Schedule")["ReconcileFunction.EveryMinute"] == {"Schedule": "rate(1 minute)"}
    function = _FUNCTIONS["ReconcileFunction"]
    assert "ReservedConcurrentExecutions" not in function
    assert 1000 * function["Timeout"] > 2 * reconcile._TIME_FOR_ONE_MORE


def test_the_stock_is_audited_every_day_and_has_as_long_as_a_function_can_have() -> None:
    assert _sources("Schedule")["AuditStockFunction.EveryDay"] == {"Schedule": "rate(1 day)"}
    assert _FUNCTIONS["AuditStockFunction"]["Timeout"] == 900


def test_queues_and_keys_are_encrypted_and_turned() -> None:
    assert all(queue.get("SqsManagedSseEnabled") is True for queue in _QUEUES.values())
    assert all(key.get("EnableKeyRotation") is True for key in of_type("AWS::KMS::Key").values())
