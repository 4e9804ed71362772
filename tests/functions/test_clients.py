"""A client costs a cold start some fifty milliseconds: a function makes one a service, when it is first used."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from botocore.session import Session
from cardshop.domain.errors import ShopError
from cardshop.usecases.close_trade import OrderPaid

from tests.adapters.cloud import forget
from tests.domain.builders import paid, placed
from tests.functions.deployed import FUNCTIONS, Deployed
from tests.functions.samples import EVENTS, sample

#: It reads no table: it starts an execution for each entry of the stream.
_WITHOUT_TABLES = {"start_trade"}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.usefixtures("platform")
def test_a_function_makes_one_client_a_service_however_many_tables_it_reads(
    shop: Deployed, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.order(placed(), paid)
    made: Counter[str] = Counter()
    create = Session.create_client

    def counted(session: Session, service: str, *arguments: Any, **keywords: Any) -> Any:
        made[service] += 1
        return create(session, service, *arguments, **keywords)

    forget()
    monkeypatch.setattr(Session, "create_client", counted)
    for path in sorted((EVENTS / function).glob("*.json")):
        event = sample(f"{function}/{path.stem}")
        if "/admin" in event.get("path", ""):
            event = shop.as_operator(event)
        elif "headers" in event:
            event = shop.as_holder(event)
        with suppress(ShopError, OrderPaid):  # refusals: one order cannot be where each of them takes it from
            shop.invoke(function, event)
    assert made["dynamodb"] == (function not in _WITHOUT_TABLES), made
    assert set(made.values()) == {1}, made
