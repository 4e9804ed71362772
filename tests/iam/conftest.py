"""A stack of this suite's own, in which nothing happens but what a flow does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine import deploy, shop
from engine.processes import Home
from simulators import bepusdt, booth
from tests.house import ok
from tests.iam.shop import GATEWAY_TOKEN, Shop


@pytest.fixture(scope="session")
def least(home: Home) -> Iterator[Shop]:
    """Caps that count, and no trade is due by itself: `reconcile` and the audit run when a flow calls them."""
    caps = dict.fromkeys(("HoldsPerAddress", "HoldsPerDevice", "HoldsPerContact", "ConnectionsPerAddress"), "1000")
    given = {**shop.LOCAL_PARAMETERS, **caps, "RetrySeconds": "0", "FirstLookSeconds": "86400"}
    house = Shop(home, "least", deploy.deploy(home, "least", given), shop.merchant(home))
    events = house.aws("events")
    for rule in events.list_rules()["Rules"]:
        events.disable_rule(Name=rule["Name"])
    house.channel()
    house.channel("epay-wx", type="wxpay")
    house.channel("epay-refunds", refunds="whole")
    with booth.serve(bepusdt.Bepusdt({"token": GATEWAY_TOKEN})) as gateway:  # it has its own numbers for payments
        settings = {"provider": "bepusdt", "url": gateway.url, "token": GATEWAY_TOKEN}
        ok(house.api.put("/admin/channels/coins", headers=house.operator, json=settings))
        yield house
