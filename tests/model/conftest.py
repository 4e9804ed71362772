"""The deployed shop for the model: a Stripe's stand beside its provider, and no `reconcile` but the rules' own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulators import booth
from tests.channels.rows import account
from tests.channels.stripe import StripeRow
from tests.house import House
from tests.model.deployed import channels


@pytest.fixture(scope="module")
def stripe(house: House) -> Iterator[StripeRow]:
    with booth.serve(StripeRow.stand(account(StripeRow))) as served:
        served.time_scale = 1000  # a cold worker answers too late, and Stripe would wait for an hour
        row = StripeRow(served)
        channels(house, row)
        yield row


@pytest.fixture(autouse=True, scope="module")
def time_stands_still(house: House) -> Iterator[None]:
    """What `reconcile` does every minute would come between two rules."""
    events = house.aws("events")
    rules = [
        each["Name"] for each in events.list_rules()["Rules"] if each["Name"].startswith(f"{house.stack}-Reconcile")
    ]
    assert rules
    for rule in rules:
        events.disable_rule(Name=rule)
    yield
    for rule in rules:
        events.enable_rule(Name=rule)
