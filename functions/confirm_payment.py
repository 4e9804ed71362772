"""Notices queue → order. What cannot be settled now is tried again, then kept as a dead letter."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext
from cardshop.adapters.catalogue import DynamoCatalogue
from cardshop.adapters.clock import clock
from cardshop.adapters.log import logger
from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.payments import provider
from cardshop.adapters.queue import SqsNoticeQueue, loads
from cardshop.adapters.settings import ChannelSettings
from cardshop.adapters.stock import DynamoPool
from cardshop.adapters.timeline import DynamoTimeline
from cardshop.adapters.workflow import StepFunctions
from cardshop.domain.errors import ShopError
from cardshop.usecases.confirm_payment import ConfirmPayment, Outcome
from cardshop.usecases.refund_payment import RefundPayment
from cardshop.usecases.settle_payment import RecordPayment, SettlePayment

metrics = Metrics(namespace="Cardshop", service="cardshop")
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)

#: A signed notice that the provider denies is asked about this often (it may run ahead of the provider's own books).
_DENIALS = 3
#: A notice that must be tried so often is somebody's business, whatever it fails at; it is tried all the same.
_UNSETTLED = 5
_LONGEST_PAUSE = 900  # seconds
_ALARMED = {
    Outcome.MISMATCH: "IrregularNotices",
    Outcome.IRREGULAR: "IrregularNotices",
    Outcome.CONTESTED: "IrregularNotices",
    Outcome.AWAITS_STOCK: "OrdersAwaitingStock",
}


@cache
def _confirm() -> ConfirmPayment:
    orders = DynamoOrders()
    channels = ChannelSettings(os.environ["CHANNELS_PREFIX"])
    workflow = StepFunctions(os.environ["STATE_MACHINE_ARN"])
    return ConfirmPayment(
        orders=orders,
        timeline=DynamoTimeline(),
        channels=channels,
        provider=provider,
        settle=SettlePayment(RecordPayment(orders, DynamoPool(), DynamoCatalogue(), clock), workflow),
        refund=RefundPayment(orders, channels, provider, workflow, clock),
        workflow=workflow,
        clock=clock,
    )


class TryAgain(Exception):
    """The message goes back to the queue, for a little longer each time."""


def record_handler(record: SQSRecord) -> None:
    attribute = record.message_attributes["trade_id"]
    trade_id = attribute.string_value if attribute else None
    logger.append_keys(trade_id=trade_id)
    tries = int(record.attributes.approximate_receive_count)
    if tries >= _UNSETTLED:
        metrics.add_metric("UnsettledNotices", MetricUnit.Count, 1)
    try:
        outcomes = _confirm()(loads(record.body))
    except ShopError as error:
        logger.warning("not confirmed", extra={"code": error.code, "why": error.detail, "tries": tries}, exc_info=True)
        _again_later(record, tries)
        raise TryAgain(error.code) from error
    for outcome in outcomes:
        logger.info("notice handled", extra={"outcome": outcome})
        if outcome in _ALARMED:
            metrics.add_metric(_ALARMED[outcome], MetricUnit.Count, 1)
    if Outcome.DENIED in outcomes:
        metrics.add_metric("DeniedNotices", MetricUnit.Count, 1)
        if tries < _DENIALS:
            _again_later(record, tries)
            raise TryAgain("denied")


def _again_later(record: SQSRecord, tries: int) -> None:
    pause = pause_after(tries, int(os.environ["RETRY_SECONDS"]))
    SqsNoticeQueue(os.environ["NOTICES_QUEUE_URL"]).delay(record.receipt_handle, pause)


def pause_after(tries: int, first: int) -> int:
    """Seconds until the next try: twice as many each time, if there were `first` after the first."""
    return min(_LONGEST_PAUSE, first << (tries - 1))


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    return process_partial_response(event, record_handler, processor, context)
