"""PUT /admin/products/{sku}/batches/{batch}: take a batch off sale, or put it back."""

from __future__ import annotations

import os
from functools import cache

from cardshop.adapters.catalogue import DynamoCatalogue
from cardshop.adapters.clock import clock
from cardshop.adapters.log import logger
from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.stock import DynamoPool
from cardshop.adapters.workflow import StepFunctions
from cardshop.api import products as present
from cardshop.api import schemas
from cardshop.api.http import Door, Response, answer
from cardshop.api.operators import operator
from cardshop.domain.product import BatchStatus
from cardshop.usecases.fill_orders import FillOrders
from cardshop.usecases.manage_batches import ManageBatches
from cardshop.usecases.put_on_sale import PutOnSale

door = Door()


@cache
def _manage() -> ManageBatches:
    catalogue, pool = DynamoCatalogue(), DynamoPool()
    workflow = StepFunctions(os.environ["STATE_MACHINE_ARN"])
    after_sale_ms = int(os.environ["AFTER_SALE_SECONDS"]) * 1000
    fill = FillOrders(DynamoOrders(), pool, catalogue, workflow, after_sale_ms, clock)
    return ManageBatches(catalogue, PutOnSale(catalogue, pool, fill))


@door.route("PUT", "/admin/products/<sku>/batches/<batch>")
def manage(sku: str, batch: str) -> Response[str]:
    who = operator(door)
    body = schemas.read(schemas.BatchRequest, door.body)
    moved = _manage()(sku, batch, BatchStatus(body.status))
    logger.info("batch", extra={"sku": sku, "batch": batch, "batch_status": moved.status, "operator": who})
    return answer(200, present.batch(moved))


handler = door.handler
