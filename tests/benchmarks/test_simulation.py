"""The model of the shop at scale is of this code, this template and what was measured of them."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest
from cardshop.adapters import aws, holdings, orders, settings
from cardshop.domain.product import shares
from cardshop.usecases import count_stock

from benchmarks.simulation import bounds, model, pattern, plots, scenarios
from benchmarks.simulation.claims import DYNAMODB_LOCAL, ENGINE, Store, claims_per_sale, sale
from benchmarks.simulation.limits import DEFAULT, HIGHER, READY, WARM, WARM_SMALLER, changed
from benchmarks.simulation.model import Bucket, Key, Load, Shop
from functions import confirm_payment
from tests.template.cloudformation import PROJECT, RESOURCES, TEMPLATE, on_aws

#: Of what was measured. One look in five wraps around its pool, and two records may come in one batch.
_COUNTED = 0.02
#: Claims for each sale, either way: runs of the measurement differ by as much (tests/contention/test_flash_sale.py).
_CLAIMS = 0.05

_BASELINE = json.loads((PROJECT / "benchmarks" / "baseline.json").read_text())
_CALM = Load(20, seconds=10, horizon=60, pays=(1, 3))
_SOURCES = {
    name: {event: each["Properties"] for event, each in RESOURCES[name]["Properties"]["Events"].items()}
    for name in (
        "StartTradeFunction",
        "RecordEventsFunction",
        "PushChangesFunction",
        "CountStockFunction",
        "ConfirmPaymentFunction",
    )
}


@pytest.mark.parametrize(
    ("counted", "modelled"),
    [
        ("cost.paid.calls", pattern.calls()),
        ("cost.paid.invocations", pattern.invocations()),
        ("cost.paid.writes", pattern.writes()),
        ("cost.paid.reads", pattern.reads()),
        ("cost.paid.transitions", sum(step.transitions for step in pattern.PAID)),
        ("cost.paid.kms", pattern.operations("Decrypt")),
    ],
)
def test_a_trade_asks_for_what_the_engine_counted(counted: str, modelled: float) -> None:
    assert modelled == pytest.approx(_BASELINE[counted], rel=_COUNTED)


@pytest.mark.parametrize(
    ("store", "measured"), [(ENGINE, 1.18), (DYNAMODB_LOCAL, 1.24)], ids=["engine", "dynamodb-local"]
)
def test_a_flash_sale_sends_as_many_claims_as_were_measured(store: Store, measured: float) -> None:
    assert claims_per_sale(400, 200, 32, store) == pytest.approx(measured, abs=_CLAIMS)


def test_a_flash_sale_sells_every_card_and_turns_nobody_away_for_contention() -> None:
    sold = sale(400, 200, 32, ENGINE)
    assert (sold.sold, sold.busy) == (200, 0)


def test_a_look_at_no_more_than_is_wanted_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.simulation.claims.SPREAD", 0)
    assert claims_per_sale(400, 200, 32, ENGINE) > 1.18 + _CLAIMS


def test_the_numbers_are_the_codes() -> None:
    assert vars(aws.config())["retries"]["total_max_attempts"] == model.CLIENT_ATTEMPTS
    assert model.COUNT_ATTEMPTS == count_stock._ATTEMPTS
    assert (model.SETTINGS_AGE, model.URL_AGE) == (settings._SETTINGS_MAX_AGE, settings._KEY_MAX_AGE)
    kept = (settings._SPREAD, settings._OLD_AT_MOST, settings._OLD_FOR)
    assert kept == (model.SPREAD, model.OLD_AT_MOST, model.OLD_FOR)
    assert model.NOTICE_LONGEST == confirm_payment._LONGEST_PAUSE
    assert len(orders._DUE_SHARDS) == pattern.DUE_SHARDS
    assert holdings._LANES == pattern.LANES
    assert pattern.pools(model.FILE) == len(shares(model.FILE)) == 64
    lanes = [0] * pattern.LANES
    for last in orders._DUE_SHARDS:  # a trade id's letters
        lanes[int(holdings._lane("sku", "batch", ord(last)).rpartition("#")[2])] += 1
    assert tuple(lanes) == pattern.LANE_WEIGHTS


def test_the_numbers_are_the_templates() -> None:
    streams = {name: events["Stream"] for name, events in _SOURCES.items() if "Stream" in events}
    assert streams["StartTradeFunction"]["BatchSize"] == DEFAULT["start_batch"].rate
    assert streams["StartTradeFunction"]["ParallelizationFactor"] == DEFAULT["start_lanes"].rate
    assert streams["RecordEventsFunction"]["ParallelizationFactor"] == DEFAULT["record_lanes"].rate
    assert streams["RecordEventsFunction"]["BatchSize"] == model.RECORD_BATCH
    assert streams["PushChangesFunction"]["BatchSize"] == DEFAULT["push_batch"].rate
    assert streams["PushChangesFunction"]["ParallelizationFactor"] == DEFAULT["push_lanes"].rate
    assert streams["CountStockFunction"]["BatchSize"] == model.COUNT_BATCH
    assert streams["CountStockFunction"]["MaximumBatchingWindowInSeconds"] == model.COUNT_WINDOW
    retries = _SOURCES["StartTradeFunction"]["Retries"]
    assert retries["BatchSize"] == model.RETRY_BATCH
    assert retries["ScalingConfig"]["MaximumConcurrency"] == DEFAULT["start_retries"].rate
    notices = _SOURCES["ConfirmPaymentFunction"]["Notices"]
    assert on_aws(notices["ScalingConfig"]["MaximumConcurrency"]) == DEFAULT["notices"].rate
    queue = RESOURCES["StartTradeRetries"]["Properties"]
    assert queue["DelaySeconds"] == model.RETRY_DELAY
    assert queue["VisibilityTimeout"] == model.VISIBILITY
    assert queue["RedrivePolicy"]["maxReceiveCount"] == model.RECEIVES
    notices = RESOURCES["NoticesQueue"]["Properties"]
    assert on_aws(notices["RedrivePolicy"]["maxReceiveCount"]) == model.NOTICE_RECEIVES
    assert TEMPLATE["Parameters"]["RetrySeconds"]["Default"] == model.NOTICE_RETRY
    assert TEMPLATE["Parameters"]["AfterSaleSeconds"]["Default"] == scenarios.AFTER_SALE_DAYS * 86_400
    assert on_aws(TEMPLATE["Globals"]["Function"]["Timeout"]) == model.TIMEOUT
    (stage,) = RESOURCES["Api"]["Properties"]["MethodSettings"]
    assert (stage["ThrottlingRateLimit"], stage["ThrottlingBurstLimit"]) == _rate(DEFAULT["requests"])


def _rate(limit: Any) -> tuple[float, float]:
    return limit.rate, limit.burst


def test_the_machine_retries_as_the_definition_says() -> None:
    definition = (PROJECT / "statemachines" / "trade.asl.json").read_text()
    assert definition.count(f'"MaxAttempts": {model._MACHINE_ATTEMPTS}') == 6, "six states, each with its Retry"


def test_with_nothing_scarce_every_trade_takes_its_counted_part_and_is_done() -> None:
    shop = Shop(READY, _CALM)
    result = shop.run()
    trades = result.accepted
    assert trades == _CALM.rate * _CALM.seconds
    assert len(result.delivered) == len(result.waits) == trades
    assert len(result.recorded) == len(result.pushed) == trades * len(pattern.RECORDS)

    def units(kind: str) -> float:
        return sum(sum(key.load.values()) for (each, _), key in shop.keys.items() if each == kind)

    assert units(pattern.DUE) == trades * pattern.on(pattern.DUE)
    assert units(pattern.LANE) == trades * pattern.on(pattern.LANE)
    assert units(pattern.POOL) == trades * pattern.on(pattern.POOL)
    assert units(pattern.BATCH) == trades * pattern.on(pattern.BATCH, reading=True)
    assert units(pattern.DATA_KEY) == trades * pattern.on(pattern.DATA_KEY, reading=True)
    assert scenarios.p(scenarios.took(result.delivered[-100:]), 95) < 0.5, (
        "a notice is soon its card, once all are warm"
    )


def test_the_same_seed_gives_the_same_figures() -> None:
    first, again = (Shop(DEFAULT, _CALM, seed=7).run() for _ in range(2))
    assert first == again
    assert first != Shop(DEFAULT, _CALM, seed=8).run()


@pytest.mark.parametrize(
    ("sustained", "rate"), [(scenarios.SUSTAINED[0], 285.71), (scenarios.SUSTAINED[2], 150)], ids=["new", "smaller"]
)
def test_the_shop_keeps_up_below_its_lowest_bound_and_not_above(sustained: scenarios.Sustained, rate: float) -> None:
    found = next(bound.trades for bound in bounds.shop(sustained.limits) if bound.what == sustained.bound)
    assert found == pytest.approx(rate, abs=0.01)
    below, above = (scenarios.at(sustained, found * share) for share in (scenarios.BELOW, scenarios.ABOVE))
    assert scenarios.keeps_up(scenarios.run(below), below.load)
    assert not scenarios.keeps_up(scenarios.run(above), above.load)


def test_warm_tables_leave_start_execution_as_the_bound() -> None:
    for limits, rate in ((WARM, 300), (WARM_SMALLER, 150)):
        lowest = bounds.shop(limits)[0]
        assert (lowest.what, lowest.trades) == ("StartExecution", rate)


def test_a_cold_shop_is_held_up_by_the_parameter_store_unless_its_throughput_is_raised() -> None:
    sudden = Load(300, seconds=3, horizon=8, pays=(20, 30))
    held_up = Shop(DEFAULT, sudden).run()
    assert held_up.answers["503 unavailable: settings"] > 50
    assert not Shop(HIGHER, sudden).run().answers["503 unavailable: settings"]


def test_orders_faster_than_one_items_reads_are_refused() -> None:
    scarce = changed(READY, "test", table=400_000, concurrency=20_000, scaling=(20_000, 20_000), requests=50_000)
    sudden = Load(8000, seconds=1, horizon=2, pays=(30, 30), warm=True)
    assert Shop(scarce, sudden).run().answers["503 unavailable: DynamoDB"] > 500


def test_pushes_wait_for_the_one_key_that_says_who_listens_to_the_shop_and_no_trade_does() -> None:
    busy = Load(100, seconds=2, horizon=8, pays=(1, 2))
    assert not Shop(READY, busy).run().pushes_aside
    shop = Shop(READY, busy)
    shop.keys[pattern.FEED, 0] = Key(30, full=True)
    result = shop.run()
    assert result.pushes_aside > 10
    assert result.refused["who listens"] >= model.CLIENT_ATTEMPTS * result.pushes_aside
    assert len(result.delivered) == result.accepted == 200


def test_what_is_never_started_ends_as_a_dead_letter() -> None:
    nothing = changed(DEFAULT, "test", starts=(0.001, 0.001))
    unpaid = Load(2, seconds=5, horizon=1200, pays=(5000, 6000))
    result = Shop(nothing, unpaid).run()
    assert result.accepted == 10
    assert result.dead["StartTradeDeadLetters"] + len(result.waits) == result.accepted
    assert len(result.waits) <= 2, "one for the bucket's first drop, and one that came in twenty minutes"


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = Bucket(rate=10, burst=5)
    given = sum(bucket.take(tick / 100) for tick in range(1000))
    assert given == pytest.approx(5 + 10 * 9.99, abs=1)
    assert bucket.reserve(10.0, 20) == pytest.approx(2.0, abs=0.2), "and says how long one has to wait"


def test_drawings_are_well_formed_and_show_every_value() -> None:
    rows = [plots.Bar("a & b", (10.0, 2000.0)), plots.Bar("c", (300.0, 0.0))]
    drawn = plots.bars("Title <1>", ("one", "two"), rows, mark=(300, "limit"), logarithmic=True)
    shown = [each.text for each in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    assert {"Title <1>", "a & b", "10", "2,000", "300", "limit"} <= set(shown)
    panels = {"first/up": [0.0, 5.0, 10.0], "second/up": [1.0, 1.0, 1.0]}
    drawn = plots.lines("Lines", panels, ("up",), until=2, unit="n")
    assert len(list(ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}polyline"))) == len(panels)
