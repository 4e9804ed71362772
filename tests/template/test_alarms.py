"""Alarms: each hears of something that the shop or AWS does count, and tells somebody."""

from __future__ import annotations

import re
from typing import Any

import pytest
from cardshop.domain.errors import StaleNotice

from tests.template.cloudformation import RESOURCES, named, of_type
from tests.template.reads import FUNCTIONS

_ALARMS = of_type("AWS::CloudWatch::Alarm")
_FILTERS = {
    each["MetricTransformations"][0]["MetricName"]: each for each in of_type("AWS::Logs::MetricFilter").values()
}
_OURS = {
    name: alarm
    for name, alarm in _ALARMS.items()
    if alarm["Namespace"] == "Cardshop" and alarm["MetricName"] not in _FILTERS
}
_OF_RECONCILE = {"ProviderUnansweredAlarm", "TradesNotLookedAtAlarm"}

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
    (alarm,) = [each for each in _ALARMS.values() if each["MetricName"] == metric]
    found = _FILTERS[metric]
    assert "Dimensions" not in alarm, "a metric of a filter has none"
    assert (alarm["Namespace"], alarm["Statistic"]) == ("Cardshop", "Sum")
    assert found["MetricTransformations"][0]["MetricNamespace"] == alarm["Namespace"]
    assert named(found["LogGroupName"]) == "ReceiveNoticeLogs"
    assert found["FilterPattern"] == f'{{ $.code = "{StaleNotice.code}" }}'


@pytest.mark.parametrize("name", sorted(_ALARMS.keys() - _OF_RECONCILE - {"ReconcileAlarm"}))
def test_the_first_one_is_heard_of_within_a_minute(name: str) -> None:
    alarm = _ALARMS[name]
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (0, "GreaterThanThreshold")
    assert _patience(alarm) == 60
    assert alarm["TreatMissingData"] == "notBreaching", "nothing counted is nothing amiss"


@pytest.mark.parametrize("name", sorted(_OF_RECONCILE))
def test_what_the_next_run_may_put_right_is_heard_of_after_three(name: str) -> None:
    alarm = _ALARMS[name]
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (0, "GreaterThanThreshold")
    assert (alarm["Period"], alarm["EvaluationPeriods"]) == (60, 3)
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
