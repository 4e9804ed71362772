"""The machine's state DeliverCards: the paid order's cards become the buyer's."""

from __future__ import annotations

import os
from functools import cache

from cardshop.adapters.catalogue import DynamoCatalogue
from cardshop.adapters.clock import clock
from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.step import Step
from cardshop.usecases.deliver_cards import DeliverCards


@cache
def _deliver() -> DeliverCards:
    return DeliverCards(DynamoOrders(), DynamoCatalogue(), int(os.environ["AFTER_SALE_SECONDS"]) * 1000, clock)


handler = Step(_deliver)
