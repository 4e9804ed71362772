"""The shop is what its model is, whatever buyers, providers, operators and the clock do to it.

`MODEL_EXAMPLES=200` plays so many examples, other ones each time, and makes a failing one small.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.channels.stripe import StripeRow
from tests.house import House, wait_until
from tests.invariants.checker import assert_sound
from tests.model.deployed import Deployed
from tests.model.pretend import Pretend
from tests.model.shop_model import Answer, Order, Payment, Shop
from tests.model.trading import PRICES, Trading, Under

_MANY = os.environ.get("MODEL_EXAMPLES")
_QUIET = settings(deadline=None, database=None, print_blob=True, suppress_health_check=list(HealthCheck))
_SETTINGS = (
    settings(_QUIET, max_examples=int(_MANY), stateful_step_count=25, phases=[Phase.generate, Phase.shrink])
    if _MANY
    else settings(_QUIET, max_examples=5, stateful_step_count=20, phases=[Phase.generate], derandomize=True)
)


def _beside(house: House, stripe: StripeRow) -> type[Trading]:
    class Beside(Trading):
        def begin(self) -> Under:
            return Deployed(house, stripe, PRICES)

        def finish(self) -> None:
            queue = house.outputs["NoticesQueue"]
            wait_until(lambda: house.messages(queue) == 0, lambda: "notices are still queued")

    return Beside


def test_the_shop_is_what_its_model_is(house: House, stripe: StripeRow) -> None:
    run_state_machine_as_test(_beside(house, stripe), settings=_SETTINGS)
    assert_sound(house)


# ---- whether it would be seen: what is planted here, in the model or in a shop that is one, is found


class DeliversForLess(Shop):
    def _money(self, order: Order, payment: Payment, minor: int) -> None:
        super()._money(order, payment, max(minor, order.due))


class KeepsCardsOfClosedOrders(Shop):
    def _release(self, order: Order) -> None:
        order.has_cards = order.status == "closed"


class PlacesAgain(Shop):
    def place(self, key: str, sku: str, quantity: int, channel: str, password: bool) -> Answer:
        self.keys.pop(key, None)
        return super().place(key, sku, quantity, channel, password)


class SellsMoreThanThereIs(Shop):
    def free(self, sku: str) -> int:
        return super().free(sku) + 1


class ForgetsWhatCameTwice(Shop):
    def _money(self, order: Order, payment: Payment, minor: int) -> None:
        if not order.funded:
            super()._money(order, payment, minor)


class RefundsOnceMore(Shop):
    def refund(self, number: int, at: int | None, minor: int | None, key: str) -> Answer:
        return super().refund(number, at, minor, f"{key}-{len(self.orders[number].story)}")


class SellsCardsThatWereRead(Shop):
    def _gone(self, order: Order) -> None:
        super()._gone(order)
        if order.status == "refunded":
            self._release(order)


class TellsAnybody(Shop):
    def view(self, number: int, holder: int) -> Answer:
        return super().view(number, number)


PLANTED = [
    DeliversForLess,
    KeepsCardsOfClosedOrders,
    PlacesAgain,
    SellsMoreThanThereIs,
    ForgetsWhatCameTwice,
    RefundsOnceMore,
    SellsCardsThatWereRead,
    TellsAnybody,
]


def _pretending(kind: type[Shop]) -> type[Trading]:
    class Pretending(Trading):
        patience = 0.0

        def begin(self) -> Under:
            return Pretend(kind)

    return Pretending


_PLANTED = settings(_QUIET, max_examples=400, stateful_step_count=25, phases=[Phase.generate], derandomize=True)


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_found_by_the_rules(bug: type[Shop]) -> None:
    with pytest.raises(Exception, match="the model"):
        run_state_machine_as_test(_pretending(bug), settings=_PLANTED)


def test_without_a_bug_nothing_is_found() -> None:
    run_state_machine_as_test(_pretending(Shop), settings=settings(_PLANTED, max_examples=50))


@pytest.mark.parametrize("wrong", [DeliversForLess, KeepsCardsOfClosedOrders, PlacesAgain])
def test_a_wrong_expectation_of_the_deployed_shop_is_found(house: House, stripe: StripeRow, wrong: type[Shop]) -> None:
    class Wrong(_beside(house, stripe)):  # type: ignore[misc]
        model = wrong
        patience = 5.0

    trading = Wrong()
    trading.load("a", 2)
    trading.place("a", 1, "epay", False)
    with pytest.raises(AssertionError, match="the model"):  # noqa: PT012
        trading.place_again(0, True)
        trading.act("pays", 0, 0, 400, True)
        trading.cancel(0)
