"""A shop in memory for every test, and the use cases that others are made of."""

from __future__ import annotations

import pytest
from cardshop.usecases.ask_provider import AskProvider
from cardshop.usecases.close_trade import CloseTrade
from cardshop.usecases.fill_orders import FillOrders
from cardshop.usecases.open_payment import OpenPayment
from cardshop.usecases.put_on_sale import PutOnSale
from cardshop.usecases.refund_payment import RefundPayment, ReturnMoney
from cardshop.usecases.settle_payment import RecordPayment, SettlePayment

from tests.domain.builders import AFTER_SALE_MS, STOCK_PATIENCE_MS
from tests.usecases.fakes import URLS, Clock, Connections, Shop


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def connections() -> Connections:
    return Connections()


@pytest.fixture
def ask(shop: Shop) -> AskProvider:
    return AskProvider(shop.channels, shop.provider)


@pytest.fixture
def open_payment(shop: Shop) -> OpenPayment:
    return OpenPayment(shop.orders, shop.channels, shop.provider, lambda: URLS)


@pytest.fixture
def record(shop: Shop) -> RecordPayment:
    return RecordPayment(shop.orders, shop.stock, shop.catalogue, shop.clock)


@pytest.fixture
def settle(shop: Shop, record: RecordPayment) -> SettlePayment:
    return SettlePayment(record, shop.machine)


@pytest.fixture
def refund(shop: Shop) -> RefundPayment:
    return RefundPayment(shop.orders, shop.channels, shop.provider, shop.machine, shop.clock)


@pytest.fixture
def return_money(shop: Shop, refund: RefundPayment) -> ReturnMoney:
    return ReturnMoney(refund, STOCK_PATIENCE_MS, shop.clock)


@pytest.fixture
def close(shop: Shop, ask: AskProvider, record: RecordPayment) -> CloseTrade:
    return CloseTrade(shop.orders, ask, record, shop.clock)


@pytest.fixture
def fill(shop: Shop) -> FillOrders:
    return FillOrders(shop.orders, shop.stock, shop.catalogue, shop.machine, AFTER_SALE_MS, shop.clock)


@pytest.fixture
def put_on_sale(shop: Shop, fill: FillOrders) -> PutOnSale:
    return PutOnSale(shop.catalogue, shop.stock, fill)
