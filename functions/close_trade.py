"""The machine's state CloseTrade: nobody paid, says the provider too; the cards go back on sale."""

from __future__ import annotations

import os
from functools import cache

from cardshop.adapters.catalogue import DynamoCatalogue
from cardshop.adapters.clock import clock
from cardshop.adapters.orders import DynamoOrders
from cardshop.adapters.payments import provider
from cardshop.adapters.settings import ChannelSettings
from cardshop.adapters.step import Step
from cardshop.adapters.stock import DynamoPool
from cardshop.usecases.ask_provider import AskProvider
from cardshop.usecases.close_trade import CloseTrade
from cardshop.usecases.settle_payment import RecordPayment


@cache
def _close() -> CloseTrade:
    orders = DynamoOrders()
    return CloseTrade(
        orders=orders,
        ask=AskProvider(ChannelSettings(os.environ["CHANNELS_PREFIX"]), provider),
        record=RecordPayment(orders, DynamoPool(), DynamoCatalogue(), clock),
        clock=clock,
    )


handler = Step(_close)
