"""POST /admin/products/{sku}/cards: load a file of codes, one a line."""

from __future__ import annotations

import os
from functools import cache

from cardshop.adapters.catalogue import DynamoCatalogue
from cardshop.adapters.clock import clock
from cardshop.adapters.log import logger
from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.sealing import KmsSealer
from cardshop.adapters.settings import fixed_secret
from cardshop.adapters.stock import DynamoPool, DynamoSealedCards
from cardshop.adapters.workflow import StepFunctions
from cardshop.api.http import Door, Response, answer
from cardshop.api.operators import operator
from cardshop.domain import card_file
from cardshop.usecases.fill_orders import FillOrders
from cardshop.usecases.import_cards import ImportCards
from cardshop.usecases.put_on_sale import PutOnSale

door = Door()


@cache
def _import() -> ImportCards:
    catalogue, pool = DynamoCatalogue(), DynamoPool()
    workflow = StepFunctions(os.environ["STATE_MACHINE_ARN"])
    after_sale_ms = int(os.environ["AFTER_SALE_SECONDS"]) * 1000
    return ImportCards(
        catalogue=catalogue,
        sealed=DynamoSealedCards(),
        sealer=KmsSealer(os.environ["SEALING_KEY"]),
        put_on_sale=PutOnSale(
            catalogue, pool, FillOrders(DynamoOrders(), pool, catalogue, workflow, after_sale_ms, clock)
        ),
        secret=fixed_secret(os.environ["CARD_ID_SECRET"]),
        clock=clock,
    )


@door.route("POST", "/admin/products/<sku>/cards")
def load(sku: str) -> Response[str]:
    who = operator(door)
    file = card_file.read(door.body)
    imported = _import()(sku, file.codes)
    batch = imported.batch
    logger.info("imported", extra={"sku": sku, "batch": batch.batch, "cards": batch.cards, "operator": who})
    shown = {
        "sku": sku,
        "batch": batch.batch,
        "status": batch.status.value,
        "imported": batch.cards,
        "duplicates": imported.duplicates,
        "encoding": file.encoding,
    }
    return answer(200 if imported.already else 201, shown)


handler = door.handler
