"""Alarms: each hears of something that the shop or AWS does count, and tells somebody."""

from __future__ import annotations

import re
from typing import Any

import pytest
from cardshop.domain import looks
from cardshop.domain.errors import StaleNotice

from functions import confirm_payment
from tests.template.cloudformation import RESOURCES, named, of_type
from tests.template.reads import FUNCTIONS

_ALARMS = of_type("AWS::CloudWatch::Alarm")
_FILTERS = {
    each["MetricTransformations"][0]["MetricName"]: each for each in of_type("AWS::Logs::MetricFilter").values()
}
_OURS = {
    name: alarm
    for name, alarm in _ALARMS.items()
    if alarm.get("Namespace") == "Cardshop" and alarm["MetricName"] not in _FILTERS
}
_OF_RECONCILE = {"ProviderUnansweredAlarm", "TradesNotLookedAtAlarm"}
_CONSUMERS = sorted(
    name
    for name, function in of_type("AWS::Serverless::Function").items()
    if any(source["Type"] == "DynamoDB" for source in function.get("Events", {}).values())
)
_BEHIND = {f"{name.removesuffix('Function')}BehindAlarm": name for name in _CONSUMERS}
#: What is no one's fault at once, or is repeated.
_PATIENT = {
    *_OF_RECONCILE,
    *_BEHIND,
    "ReconcileAlarm",
    "UnsettledNoticesAlarm",
    "NoticesWaitingAlarm",
    "TablesThrottledAlarm",
    "MachineThrottledAlarm",
    "ApiErrorsAlarm",
}

#: Counted for a graph: what was lost was found, and nobody need get up for it.
_NO_ALARM = {"LostNotices"}


def _counted() -> set[str]:
    """The names of metrics in the functions' source: constants of two or more capitalized words."""
    return {
        name
        for path in FUNCTIONS
        if "Metrics(" in (source := path.read_text(encoding="utf-8"))
        for name in re.findall(r'"((?:[A-Z][a-z]+){2,})"', source)
    }


def _patience(alarm: dict[str, Any]) -> int:
    """Seconds from the first that is amiss until somebody hears of it."""
    return int(alarm["Period"]) * int(alarm["EvaluationPeriods"])


def test_every_alarm_is_told_to_somebody() -> None:
    for name, alarm in _ALARMS.items():
        topics = [named(action) for action in alarm["AlarmActions"]]
        assert topics, name
        assert all(RESOURCES[str(topic)]["Type"] == "AWS::SNS::Topic" for topic in topics)


def test_an_alarm_says_what_is_amiss() -> None:
    descriptions = [alarm["AlarmDescription"] for alarm in _ALARMS.values()]
    assert len(set(descriptions)) == len(descriptions)
    assert all(descriptions)


def test_what_the_shop_counts_has_an_alarm_and_what_has_an_alarm_is_counted() -> None:
    heard = {alarm["MetricName"] for alarm in _OURS.values()}
    assert len(heard) == len(_OURS)
    assert heard | _NO_ALARM == _counted()
    assert not heard & _NO_ALARM


@pytest.mark.parametrize("name", sorted(_OURS))
def test_an_alarm_looks_where_the_shop_counts(name: str) -> None:
    """Powertools writes each metric under the service: an alarm without that dimension would never see one."""
    alarm = _OURS[name]
    assert alarm["Dimensions"] == [{"Name": "service", "Value": "cardshop"}]
    assert alarm["Statistic"] == "Sum"
    sources = [path.read_text(encoding="utf-8") for path in FUNCTIONS]
    counting = [source for source in sources if f'"{alarm["MetricName"]}"' in source]
    assert counting
    assert all('Metrics(namespace="Cardshop", service="cardshop")' in source for source in counting)


def test_old_notices_are_counted_in_the_log_of_who_refuses_them() -> None:
    (metric,) = _FILTERS
    (alarm,) = [each for each in _ALARMS.values() if each.get("MetricName") == metric]
    found = _FILTERS[metric]
    assert "Dimensions" not in alarm, "a metric of a filter has none"
    assert (alarm["Namespace"], alarm["Statistic"]) == ("Cardshop", "Sum")
    assert found["MetricTransformations"][0]["MetricNamespace"] == alarm["Namespace"]
    assert named(found["LogGroupName"]) == "ReceiveNoticeLogs"
    assert found["FilterPattern"] == f'{{ $.code = "{StaleNotice.code}" }}'


@pytest.mark.parametrize("name", sorted(_ALARMS.keys() - _PATIENT))
def test_the_first_one_is_heard_of_within_a_minute(name: str) -> None:
    alarm = _ALARMS[name]
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (0, "GreaterThanThreshold")
    assert _patience(alarm) == 60
    assert alarm["TreatMissingData"] == "notBreaching", "nothing counted is nothing amiss"


@pytest.mark.parametrize("name", sorted(_OF_RECONCILE))
def test_what_the_next_look_may_put_right_is_heard_of_after_two(name: str) -> None:
    """A single trade that is amiss is counted once a look, so no more often than every five minutes."""
    alarm = _ALARMS[name]
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (0, "GreaterThanThreshold")
    assert alarm["TreatMissingData"] == "notBreaching"
    between_looks = looks.SOON // 1000 + 60  # seconds at most: a run is every minute
    assert alarm["Period"] < between_looks, "no two looks in one period, which would count as one"
    assert alarm["DatapointsToAlarm"] == _patience(alarm) // between_looks == 2


def test_a_notice_that_is_tried_again_and_again_alarms_once() -> None:
    alarm = _ALARMS["UnsettledNoticesAlarm"]
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (0, "GreaterThanThreshold")
    assert alarm["EvaluationPeriods"] == 1
    assert alarm["Period"] >= 2 * confirm_payment._LONGEST_PAUSE
    assert alarm["TreatMissingData"] == "notBreaching"


def test_notices_that_nobody_takes_are_heard_of_before_their_buyers_complain() -> None:
    """SQS leaves out what was received three times: that is the unsettled ones' alarm."""
    alarm = _ALARMS["NoticesWaitingAlarm"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/SQS", "ApproximateAgeOfOldestMessage")
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": {"Fn::GetAtt": ["NoticesQueue", "QueueName"]}}]
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (300, "GreaterThanThreshold")
    assert (alarm["Statistic"], _patience(alarm)) == ("Maximum", 60)


@pytest.mark.parametrize(("name", "function"), sorted(_BEHIND.items()))
def test_a_consumer_that_falls_behind_its_stream_is_heard_of_long_before_records_are_given_up(
    name: str, function: str
) -> None:
    alarm = _ALARMS[name]
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == ("AWS/Lambda", "IteratorAge", "Maximum")
    assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": {"Ref": function}}]
    events = RESOURCES[function]["Properties"]["Events"].values()
    (stream,) = [each["Properties"] for each in events if each["Type"] == "DynamoDB"]
    told = alarm["Threshold"] / 1000 + _patience(alarm)
    assert 4 * told <= stream["MaximumRecordAgeInSeconds"]
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    assert alarm["TreatMissingData"] == "notBreaching", "it is counted only when records come"


def test_throttling_is_heard_of() -> None:
    """Lambda's as a whole, since all functions share the limit; DynamoDB's table by table; the machine's."""
    functions, tables, machine = (_ALARMS[f"{name}ThrottledAlarm"] for name in ("Functions", "Tables", "Machine"))
    assert (functions["Namespace"], functions["MetricName"]) == ("AWS/Lambda", "Throttles")
    assert "Dimensions" not in functions
    (query,) = tables["Metrics"]
    assert query["Expression"].startswith(
        'SELECT SUM(ThrottledRequests) FROM SCHEMA("AWS/DynamoDB", Operation, TableName)'
    )
    assert "GROUP BY TableName" in query["Expression"]
    assert (machine["Namespace"], machine["MetricName"]) == ("AWS/States", "ExecutionThrottled")
    assert machine["Dimensions"] == [{"Name": "StateMachineArn", "Value": {"Ref": "TradeMachine"}}]
    for alarm in (functions, tables, machine):
        assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (0, "GreaterThanThreshold")
        assert alarm["TreatMissingData"] == "notBreaching"


def test_an_alarm_that_the_local_engine_cannot_have_is_left_out_there_and_no_other_is() -> None:
    conditional = {name for name in _ALARMS if "Condition" in RESOURCES[name]}
    assert conditional == {name for name, alarm in _ALARMS.items() if "Metrics" in alarm}
    assert {RESOURCES[name]["Condition"] for name in conditional} == {"OnAws"}


def test_an_api_that_fails_is_heard_of() -> None:
    alarm, api = _ALARMS["ApiErrorsAlarm"], RESOURCES["Api"]["Properties"]
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == ("AWS/ApiGateway", "5XXError", "Average")
    dimensions = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
    assert dimensions == {"ApiName": {"Ref": "AWS::StackName"}, "Stage": "api"}
    assert (api["Name"], api["StageName"]) == (dimensions["ApiName"], dimensions["Stage"])
    assert 0 < alarm["Threshold"] <= 0.05
    assert _patience(alarm) <= 600
    assert alarm["TreatMissingData"] == "notBreaching"


def test_a_reconcile_that_does_not_run_is_heard_of() -> None:
    """It counts its runs at their end, so a run that breaks off, or never begins, counts nothing."""
    alarm = _ALARMS["ReconcileAlarm"]
    assert (alarm["MetricName"], alarm["Threshold"], alarm["ComparisonOperator"]) == (
        "ReconcileRuns",
        1,
        "LessThanThreshold",
    )
    assert alarm["TreatMissingData"] == "breaching"
    assert alarm["Period"] >= RESOURCES["ReconcileFunction"]["Properties"]["Timeout"], "a long run is no silence"
    assert _patience(alarm) <= 900


def test_a_trade_whose_execution_failed_is_heard_of() -> None:
    alarm = _ALARMS["FailedTradesAlarm"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/States", "ExecutionsFailed")
    assert alarm["Dimensions"] == [{"Name": "StateMachineArn", "Value": {"Ref": "TradeMachine"}}]
