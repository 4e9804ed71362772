"""Every day: each card that was imported is somewhere, and nowhere twice."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from cardshop.adapters.catalogue import DynamoCatalogue
from cardshop.adapters.holdings import DynamoHoldings
from cardshop.adapters.log import logger
from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.stock import DynamoPool
from cardshop.usecases.audit_stock import AuditStock
from cardshop.usecases.count_stock import CountStock

metrics = Metrics(namespace="Cardshop", service="cardshop")


@cache
def _audit() -> AuditStock:
    catalogue, pool = DynamoCatalogue(), DynamoPool()
    return AuditStock(
        catalogue=catalogue,
        pool=pool,
        holdings=DynamoHoldings(),
        orders=DynamoOrders(),
        count=CountStock(catalogue, pool),
        pause_seconds=float(os.environ["PAUSE_SECONDS"]),
    )


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    counts = {"batches": 0, "missing": 0}
    for audited in _audit()():
        counts["batches"] += 1
        counts["missing"] += abs(audited.missing)
        if audited.missing:
            batch = audited.batch
            logger.error("cards missing", extra={"sku": batch.sku, "batch": batch.batch, "missing": audited.missing})
    metrics.add_metric("CardsMissing", MetricUnit.Count, counts["missing"])
    logger.info("audited", extra=counts)
    return counts
