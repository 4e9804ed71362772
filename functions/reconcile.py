"""Every minute: trades that are due are looked at, and what nobody did is done."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from cardshop.adapters.catalogue import DynamoCatalogue
from cardshop.adapters.clock import clock
from cardshop.adapters.log import logger
from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.payments import provider
from cardshop.adapters.settings import ChannelSettings
from cardshop.adapters.stock import DynamoPool
from cardshop.adapters.workflow import StepFunctions
from cardshop.usecases.ask_provider import AskProvider
from cardshop.usecases.close_trade import CloseTrade
from cardshop.usecases.complete_trade import CompleteTrade
from cardshop.usecases.fill_orders import FillOrders
from cardshop.usecases.reconcile import Reconcile
from cardshop.usecases.refund_payment import RefundPayment, ReturnMoney
from cardshop.usecases.settle_payment import RecordPayment, SettlePayment

metrics = Metrics(namespace="Cardshop", service="cardshop")

#: What a run may count → the metric that an alarm or a graph reads.
_METRICS = {
    "settled": "LostNotices",
    "irregular": "IrregularNotices",
    "awaiting_stock": "OrdersAwaitingStock",
    "without_cards": "OrdersWithoutCards",
    "unanswered": "ProviderUnanswered",
    "tasks": "OperatorTasks",
    "failed": "TradesNotLookedAt",
}
_TIME_FOR_ONE_MORE = 20_000  # milliseconds: a provider's time-outs and the store's


@cache
def _reconcile() -> Reconcile:
    orders, pool, catalogue = DynamoOrders(), DynamoPool(), DynamoCatalogue()
    workflow = StepFunctions(os.environ["STATE_MACHINE_ARN"])
    channels = ChannelSettings(os.environ["CHANNELS_PREFIX"])
    ask = AskProvider(channels, provider)
    refund = RefundPayment(orders, channels, provider, workflow, clock)
    record = RecordPayment(orders, pool, catalogue, clock)
    return Reconcile(
        orders=orders,
        ask=ask,
        settle=SettlePayment(record, workflow),
        close=CloseTrade(orders, ask, record, clock),
        complete=CompleteTrade(orders, clock),
        fill=FillOrders(orders, pool, catalogue, workflow, int(os.environ["AFTER_SALE_SECONDS"]) * 1000, clock),
        return_money=ReturnMoney(refund, int(os.environ["STOCK_PATIENCE_SECONDS"]) * 1000, clock),
        workflow=workflow,
        clock=clock,
    )


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    report = _reconcile()(lambda: context.get_remaining_time_in_millis() > _TIME_FOR_ONE_MORE)
    for trade_id, code in report.errors:
        logger.warning("not right", extra={"trade_id": trade_id, "code": code, "kind": report.kinds.get(trade_id)})
    metrics.add_metric("ReconcileRuns", MetricUnit.Count, 1)
    for count, metric in _METRICS.items():
        metrics.add_metric(metric, MetricUnit.Count, report.counts[count])
    logger.info("reconciled", extra=dict(report.counts))
    return dict(report.counts)
